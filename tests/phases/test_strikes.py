"""The choice of a strike: laws over generated chains, then the corners by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phases.config import Config
from phases.tools import OptionContract, OptionQuote, OptionType
from phases.trading.strikes import NoStrike, StrikeRules, choose_strike

RULES = StrikeRules.of(Config())
TODAY = date(2026, 11, 23)
AT = datetime(2026, 11, 23, 18, tzinfo=UTC)


def option(
    dte: int = 17, delta: float = 0.30, wanted: OptionType = "call", strike: int = 1_000_000
) -> OptionQuote:
    day = TODAY + timedelta(days=dte)
    name = f"GME   {day:%y%m%d}{wanted[0].upper()}{strike // 10:08}"
    contract = OptionContract(symbol=name, ticker="GME", type=wanted, strike=strike, expiration=day)
    return OptionQuote(contract=contract, at=AT, bid=19_000, ask=21_000, delta=delta, iv=0.6)


quotes = st.builds(
    option,
    dte=st.integers(0, 60),
    delta=st.one_of(st.just(0.0), st.floats(-1, 1)),
    wanted=st.sampled_from(["call", "put"]),
    strike=st.integers(1, 100).map(lambda whole: whole * 10_000),
)


@given(chain=st.lists(quotes, max_size=30), wanted=st.sampled_from(["call", "put"]))
def test_a_chosen_contract_lies_in_the_window_and_none_is_nearer(
    chain: list[OptionQuote], wanted: OptionType
) -> None:
    chosen = choose_strike(chain, wanted, TODAY, RULES)

    listed = [one for one in chain if one.contract.type == wanted]
    dtes = {(one.contract.expiration - TODAY).days for one in listed} & set(range(14, 22))
    if isinstance(chosen, NoStrike):
        assert chosen.reason
        return
    dte = (chosen.contract.expiration - TODAY).days
    sign = 1 if wanted == "call" else -1
    assert (abs(dte - 17), -dte) == min((abs(each - 17), -each) for each in dtes)
    assert chosen.contract.type == wanted
    assert 0.15 <= sign * (chosen.delta or 0) <= 0.50
    assert chosen.bid != 0
    rivals = [
        abs(sign * (one.delta or 0) - 0.30)
        for one in listed
        if one.contract.expiration == chosen.contract.expiration and 0.15 <= sign * (one.delta or 0) <= 0.50
    ]
    assert abs(sign * (chosen.delta or 0) - 0.30) == pytest.approx(min(rivals), abs=1e-8)


@given(chain=st.lists(quotes, max_size=30))
def test_the_order_of_a_chain_says_nothing(chain: list[OptionQuote]) -> None:
    assert choose_strike(chain, "call", TODAY, RULES) == choose_strike(chain[::-1], "call", TODAY, RULES)


@pytest.mark.parametrize(
    ("dtes", "chosen"),
    [([14, 21], 14), ([15, 19], 19), ([16, 18], 18), ([13, 22, 20], 20), ([17, 18], 17)],
)
def test_the_expiration_nearest_seventeen_days_wins_and_the_later_of_two(
    dtes: list[int], chosen: int
) -> None:
    found = choose_strike([option(dte) for dte in dtes], "call", TODAY, RULES)

    assert isinstance(found, OptionQuote)
    assert found.contract.expiration == TODAY + timedelta(days=chosen)


@pytest.mark.parametrize("dtes", [[], [13], [22], [0, 60]])
def test_outside_fourteen_to_twenty_one_days_nothing_is_bought(dtes: list[int]) -> None:
    found = choose_strike([option(dte) for dte in dtes], "call", TODAY, RULES)

    assert found == NoStrike("no call expires in 14 to 21 days", ())


@pytest.mark.parametrize("delta", [0.15, 0.50])
def test_the_limits_of_the_delta_belong_to_it(delta: float) -> None:
    assert choose_strike([option(delta=delta)], "call", TODAY, RULES) == option(delta=delta)
    put = option(delta=-delta, wanted="put")
    assert choose_strike([put], "put", TODAY, RULES) == put


@pytest.mark.parametrize(
    "unusable",
    [
        pytest.param(replace(option(), delta=0.0), id="greeks of 0"),
        pytest.param(replace(option(), delta=None), id="no greeks"),
        pytest.param(replace(option(), iv=0.0), id="a volatility of 0"),
        pytest.param(replace(option(), delta=0.1499), id="too far from the money"),
        pytest.param(replace(option(), delta=0.5001), id="too near the money"),
        pytest.param(replace(option(), delta=-0.30), id="a put's delta on a call"),
        pytest.param(replace(option(), bid=0), id="nobody bids"),
        pytest.param(replace(option(), bid=None, ask=None, last=20_000), id="only an old trade"),
        pytest.param(replace(option(), bid=None, ask=0), id="no price"),
    ],
)
def test_what_can_not_be_bought_is_not_chosen(unusable: OptionQuote) -> None:
    found = choose_strike([unusable], "call", TODAY, RULES)

    assert isinstance(found, NoStrike)
    assert found.expirations == (unusable.contract.expiration,)


def test_only_the_nearest_expiration_is_looked_at() -> None:
    found = choose_strike([option(17, delta=0.9), option(18, delta=0.3)], "call", TODAY, RULES)

    assert isinstance(found, NoStrike)
    assert found.expirations == (TODAY + timedelta(days=17), TODAY + timedelta(days=18))


def test_of_two_deltas_equally_near_the_one_nearer_the_money_wins() -> None:
    near, far = option(delta=0.35, strike=900_000), option(delta=0.25, strike=1_100_000)

    assert choose_strike([far, near], "call", TODAY, RULES) == near
