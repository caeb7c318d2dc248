"""Schwab's option chains: the real client over loopback; its answers are made up: there is no recording."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from phases.chains.schwab import SchwabChains
from phases.money import ticks
from phases.prices.errors import BadAnswer, Unreachable
from phases.prices.schwab_client import SchwabApp, SchwabSession
from phases.prices.schwab_token import TokenFile
from phases.tools import OptionContract, OptionQuote
from tests.phases.schwab_server import Answer, Schwab, serving

NOW = datetime(2026, 11, 20, 17, 2, tzinfo=UTC)
CHAINS = "/marketdata/v1/chains"


def contract(**changes: Any) -> dict[str, Any]:
    return {
        "putCall": "CALL", "bid": 2.05, "ask": 2.15, "mark": 2.1, "last": 2.0, "delta": 0.31,
        "openInterest": 120, "totalVolume": 7, "multiplier": 100.0, "nonStandard": False,
        "quoteTimeInLong": int((NOW - timedelta(minutes=1)).timestamp() * 1000), **changes,
    }  # fmt: skip


def chain(*contracts: dict[str, Any]) -> dict[str, Any]:
    return {
        "symbol": "AAPL", "status": "SUCCESS", "underlyingPrice": 190.5,
        "callExpDateMap": {"2026-12-11:21": {"200.0": list(contracts)}}, "putExpDateMap": {},
    }  # fmt: skip


@pytest.fixture
def schwab() -> Iterator[Schwab]:
    with serving() as found:
        yield found


@pytest.fixture
def chains(schwab: Schwab, tmp_path: Path) -> SchwabChains:
    tokens = TokenFile(tmp_path / "schwab.json")
    ends = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())
    kept = {"access_token": "a", "refresh_token": "r", "token_type": "Bearer", "expires_at": ends}
    tokens.write({"creation_timestamp": int(NOW.timestamp()), "token": kept})
    session = SchwabSession(SchwabApp("an-app", "hush"), tokens, schwab.transport())
    return SchwabChains(session, lambda _seconds: None, lambda: NOW + timedelta(minutes=10))


def test_a_contract_is_told_with_its_name_and_prices(chains: SchwabChains, schwab: Schwab) -> None:
    schwab.says(CHAINS, Answer(chain(contract())))

    assert chains.chain("AAPL", NOW) == [
        OptionQuote(
            contract=OptionContract(
                symbol="AAPL  261211C00200000", ticker="AAPL", type="call", strike=ticks(200),
                expiration=date(2026, 12, 11),
            ),
            at=NOW - timedelta(minutes=1), bid=ticks("2.05"), ask=ticks("2.15"), mark=ticks("2.1"),
            last=ticks(2), delta=0.31, open_interest=120, volume=7, underlying=ticks("190.5"),
        )
    ]  # fmt: skip
    assert schwab.asked[0][1] == {"symbol": ["AAPL"], "fromDate": ["2026-11-20"], "toDate": ["2027-01-19"]}


def test_a_quote_of_the_runs_own_minutes_counts_as_of_its_instant(
    chains: SchwabChains, schwab: Schwab
) -> None:
    later = int((NOW + timedelta(minutes=5)).timestamp() * 1000)
    schwab.says(CHAINS, Answer(chain(contract(quoteTimeInLong=later))))

    assert [one.at for one in chains.chain("AAPL", NOW)] == [NOW]


@pytest.mark.parametrize("hours", [-1, 3, 24 * 30])
def test_of_any_instant_but_the_present_nothing_is_known(
    chains: SchwabChains, schwab: Schwab, hours: float
) -> None:
    assert chains.chain("AAPL", NOW - timedelta(hours=hours)) == ()
    assert schwab.asked == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"nonStandard": True}, id="adjusted"),
        pytest.param({"multiplier": 150.0}, id="of 150 shares"),
        pytest.param({"quoteTimeInLong": int((NOW - timedelta(days=5)).timestamp() * 1000)}, id="old"),
    ],
)
def test_a_contract_that_is_not_to_be_traded_is_left_out(
    chains: SchwabChains, schwab: Schwab, changes: dict[str, Any]
) -> None:
    schwab.says(CHAINS, Answer(chain(contract(**changes), contract())))

    assert len(chains.chain("AAPL", NOW)) == 1


def test_an_unknown_greek_and_a_mark_of_nothing_are_unknown(chains: SchwabChains, schwab: Schwab) -> None:
    schwab.says(CHAINS, Answer(chain(contract(delta=-999.0, mark=0.0, bid=0.0))))

    (quote,) = chains.chain("AAPL", NOW)

    assert (quote.delta, quote.mark, quote.bid) == (None, None, 0)


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (Answer({"status": "FAILED"}), BadAnswer),
        (Answer(chain({"multiplier": 100})), BadAnswer),
        (Answer({**chain(), "callExpDateMap": {"soon": {"200.0": [contract()]}}}), BadAnswer),
        (Answer({**chain(), "callExpDateMap": {"2026-12-11:21": {"dear": [contract()]}}}), BadAnswer),
        (Answer(status=503), Unreachable),
    ],
    ids=["no chain", "no prices", "no day", "no strike", "ill"],
)
def test_an_answer_without_sense_is_refused(
    chains: SchwabChains, schwab: Schwab, answer: Answer, named: type[Exception]
) -> None:
    schwab.says(CHAINS, answer)

    with pytest.raises(named):
        chains.chain("AAPL", NOW)
