"""Schwab through schwab-py: the real client and its real OAuth session against a server on loopback.

There is no recording of Schwab. What the server answers is made up here, with the names of Schwab's published
description of its API as other clients repeat them; schwab-py itself documents no answer. schwab-py 1.5.1 has
its address built in, so the requests are led to loopback by the transport that its HTTP session takes.
"""

from __future__ import annotations

import inspect
import json
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from phases.calendar import ExchangeCalendar
from phases.money import ticks
from phases.prices.errors import BadAnswer, LoginNeeded, RateLimited, Stale, UnknownTicker, Unreachable
from phases.prices.schwab import SchwabPrices
from phases.prices.schwab_client import SchwabApp, SchwabSession, begin_login, end_login, load, open_client
from phases.prices.schwab_token import TokenFile, login_by
from phases.tools import PricesUnavailable, Quote
from tests.phases.schwab_server import Answer, Schwab, ToLoopback, serving

load()
auth = import_module("schwab.auth")
Client = import_module("schwab.client").Client

CALENDAR = ExchangeCalendar()
NOW = datetime(2026, 11, 20, 17, 2, tzinfo=UTC)
"""A Friday, two minutes past noon in New York."""
APP = SchwabApp("an-app", "hush-hush")
QUOTES, HISTORY, TOKEN = "/marketdata/v1/quotes", "/marketdata/v1/pricehistory", "/v1/oauth/token"


def ms(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def token(access: str = "access-1", lasts_s: int = 1800) -> dict[str, Any]:
    return {
        "access_token": access, "refresh_token": "refresh-1", "token_type": "Bearer", "scope": "api",
        "expires_in": lasts_s, "expires_at": int(time.time()) + lasts_s,
    }  # fmt: skip


@pytest.fixture
def schwab() -> Iterator[Schwab]:
    with serving() as found:
        found.says(QUOTES, Answer(quoted(190.5, NOW - timedelta(minutes=3))))
        found.says(HISTORY, Answer(candles()))
        found.says(TOKEN, Answer(token("access-2")))
        yield found


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    found = TokenFile(tmp_path / "data" / "schwab.json")
    found.write({"creation_timestamp": int((NOW - timedelta(days=2)).timestamp()), "token": token()})
    return found


class Desk:
    """The adapter over a server, with waits that take no time."""

    def __init__(self, schwab: Schwab, tokens: TokenFile, now: datetime = NOW) -> None:
        self.waited_s: list[float] = []
        self.session = SchwabSession(APP, tokens, schwab.transport())
        self.prices = SchwabPrices(self.session, tokens, CALENDAR, self.waited_s.append, lambda: now)


@pytest.fixture
def desk(schwab: Schwab, tokens: TokenFile) -> Desk:
    return Desk(schwab, tokens)


def quoted(price: float, at: datetime, ticker: str = "AAPL") -> dict[str, Any]:
    """Return an answer of `/quotes`; the last trade of all hours is another one, and is not to be used."""
    return {
        ticker: {
            "assetMainType": "EQUITY", "symbol": ticker, "realtime": True,
            "quote": {"lastPrice": 1.0, "mark": 1.0, "tradeTime": ms(at), "securityStatus": "Normal"},
            "regular": {"regularMarketLastPrice": price, "regularMarketTradeTime": ms(at)},
        }
    }  # fmt: skip


def candles(*of: tuple[datetime, float, float, float, float]) -> dict[str, Any]:
    """Return an answer of `/pricehistory`: beginning, open, high, low, close."""
    return {
        "symbol": "AAPL", "empty": not of,
        "candles": [
            {"datetime": ms(at), "open": opened, "high": high, "low": low, "close": close, "volume": 100}
            for at, opened, high, low, close in of
        ],
    }  # fmt: skip


def noon(minute: int, hour: int = 16) -> datetime:
    return NOW.replace(hour=hour, minute=0) + timedelta(minutes=minute)


# --- quotes ---


def test_the_last_regular_trade_is_the_quote_and_not_one_of_the_evening(desk: Desk, schwab: Schwab) -> None:
    made_at = NOW - timedelta(minutes=3)

    assert desk.prices.quote("AAPL", NOW) == Quote(
        price=ticks("190.5"), at=made_at, basis="last trade 2026-11-20 16:59 UTC"
    )
    assert schwab.asked == [(QUOTES, {"symbols": ["AAPL"]}, "Bearer access-1")]


def test_a_trade_after_the_instant_is_not_read_the_last_bar_before_it_is(desk: Desk, schwab: Schwab) -> None:
    schwab.says(QUOTES, Answer(quoted(999, NOW + timedelta(seconds=1))))
    days = candles((datetime(2026, 11, 19, 6, tzinfo=UTC), 180, 182, 179, 181))
    fives = candles(
        (noon(50), 190, 191, 189, 190.2), (noon(55), 190, 191, 189, 190.4), (noon(60), 9, 9, 9, 9)
    )
    schwab.says(HISTORY, Answer(days), Answer(fives))

    assert desk.prices.quote("AAPL", NOW) == Quote(
        price=ticks("190.4"), at=noon(60), basis="close of the bar until 2026-11-20 17:00 UTC"
    )


def test_a_ticker_that_schwab_does_not_know_is_unknown(desk: Desk, schwab: Schwab) -> None:
    schwab.says(QUOTES, Answer({"errors": {"invalidSymbols": ["XYZ"]}}))

    with pytest.raises(UnknownTicker, match="Schwab knows no XYZ"):
        desk.prices.quote("XYZ", NOW)
    assert desk.waited_s == []


def test_a_last_trade_of_long_ago_is_stale(desk: Desk, schwab: Schwab) -> None:
    schwab.says(QUOTES, Answer(quoted(190, NOW - timedelta(days=8))))

    with pytest.raises(Stale, match=r"Schwab's last price of AAPL is of 2026-11-12, 6 sessions ago"):
        desk.prices.quote("AAPL", NOW)


def test_without_any_bar_before_the_instant_there_is_no_price(desk: Desk, schwab: Schwab) -> None:
    schwab.says(QUOTES, Answer(quoted(999, NOW + timedelta(seconds=1))))

    with pytest.raises(UnknownTicker, match="Schwab has no price of AAPL of the days before"):
        desk.prices.quote("AAPL", NOW)


# --- bars ---


def test_days_and_candles_come_in_order_and_nothing_that_is_not_over(desk: Desk, schwab: Schwab) -> None:
    thursday = datetime(2026, 11, 19, 14, 30, tzinfo=UTC)
    days = candles(
        (datetime(2026, 11, 19, 6, tzinfo=UTC), 180, 182, 179, 181),
        (datetime(2026, 11, 20, 6, tzinfo=UTC), 1, 9, 1, 9),
    )
    fives = candles(
        (thursday - timedelta(minutes=5), 9, 9, 9, 9),
        (thursday, 180, 181, 179.5, 180),
        (noon(55), 190, 191, 189, 190.4),
        (noon(60), 9, 9, 9, 9),
    )
    schwab.says(HISTORY, Answer(days), Answer(fives))

    bars = desk.prices.bars("AAPL", thursday, NOW)

    assert [(bar.start, bar.end, bar.close) for bar in bars] == [
        (thursday, thursday + timedelta(minutes=5), ticks(180)),
        (thursday, datetime(2026, 11, 19, 21, tzinfo=UTC), ticks(181)),
        (noon(55), noon(60), ticks("190.4")),
    ]
    (_, asked_days, _), (_, asked_candles, _) = schwab.asked
    assert asked_days["frequencyType"] == ["daily"]
    assert (asked_candles["frequencyType"], asked_candles["frequency"]) == (["minute"], ["5"])
    assert asked_candles["needExtendedHoursData"] == ["false"]
    assert asked_candles["startDate"] == [str(ms(thursday))]


def test_long_ago_only_days_are_asked_for(desk: Desk, schwab: Schwab) -> None:
    desk.prices.bars("AAPL", NOW - timedelta(days=90), NOW - timedelta(days=60))

    assert [query["frequencyType"] for _, query, _ in schwab.asked] == [["daily"]]


@pytest.mark.parametrize(
    "bad", [(0, 0, 0, 0), (190, 189, 191, 190), (-1, 2, -1, 1)], ids=["zero", "crossed", "negative"]
)
def test_a_candle_without_sense_is_not_believed_and_counted(
    desk: Desk, schwab: Schwab, bad: tuple[float, float, float, float]
) -> None:
    schwab.says(HISTORY, Answer(candles()), Answer(candles((noon(50), *bad), (noon(55), 190, 191, 189, 190))))

    assert len(desk.prices.bars("AAPL", noon(0), NOW)) == 1
    assert [one.context for one in desk.prices.remarks()] == [{"source": "schwab", "refused": 1}]


# --- failures ---


@pytest.mark.parametrize(
    ("answer", "named", "said", "asked"),
    [
        (Answer(status=500), Unreachable, "Schwab answers 500", 4),
        (Answer(status=503), Unreachable, "Schwab answers 503", 4),
        (Answer(status=429), RateLimited, "asked too often", 4),
        (Answer(status=400), BadAnswer, "refuses the question with 400", 4),
        (Answer("<html>"), BadAnswer, "is no JSON", 4),
        (Answer([1]), BadAnswer, "the answer is no object", 1),
        (Answer({"AAPL": {}}), BadAnswer, "regular is no object", 1),
        (Answer({"AAPL": {"regular": {"regularMarketTradeTime": "now"}}}), BadAnswer, "is no number", 1),
        (Answer({"AAPL": {"regular": {"regularMarketTradeTime": 1e30}}}), BadAnswer, "is no instant", 1),
    ],
)
def test_each_failure_has_a_name_and_only_those_that_may_pass_are_asked_again(
    desk: Desk, schwab: Schwab, answer: Answer, named: type[Exception], said: str, asked: int
) -> None:
    schwab.says(QUOTES, answer)

    with pytest.raises(named, match=said):
        desk.prices.quote("AAPL", NOW)

    assert len(schwab.asked) == asked
    assert desk.waited_s == [1.0, 2.0, 4.0][: asked - 1]


def test_what_fails_once_is_answered_the_second_time(desk: Desk, schwab: Schwab) -> None:
    good = Answer(quoted(190.5, NOW))
    schwab.says(QUOTES, Answer(status=502), good)

    assert desk.prices.quote("AAPL", NOW) is not None
    assert desk.waited_s == [1.0]


@pytest.mark.parametrize(("asks", "waited_s"), [("7", 7.0), ("600", 15.0), ("soon", 1.0)])
def test_a_wish_to_be_left_alone_is_heard_up_to_a_quarter_of_a_minute(
    desk: Desk, schwab: Schwab, asks: str, waited_s: float
) -> None:
    schwab.says(QUOTES, Answer(status=429, headers={"Retry-After": asks}), Answer(quoted(190.5, NOW)))

    desk.prices.quote("AAPL", NOW)

    assert desk.waited_s == [waited_s]


def test_a_refused_connection_is_unreachable(tokens: TokenFile) -> None:
    with serving() as gone:
        pass
    session = SchwabSession(APP, tokens, ToLoopback(gone.port))

    with pytest.raises(Unreachable, match="Schwab can't be reached: ConnectError"):
        session.ask(lambda client: client.get_quotes(["AAPL"]))


# --- the token ---


def test_a_401_refreshes_the_token_once_and_asks_again(desk: Desk, schwab: Schwab, tokens: TokenFile) -> None:
    schwab.says(QUOTES, Answer(status=401), Answer(quoted(190.5, NOW)))

    assert desk.prices.quote("AAPL", NOW) is not None

    assert schwab.paths() == ["quotes", "token", "quotes"]
    assert schwab.asked[1][1]["refresh_token"] == ["refresh-1"]
    assert schwab.asked[2][2] == "Bearer access-2"
    assert tokens.read()["token"]["access_token"] == "access-2"
    assert login_by(tokens.read()) == NOW + timedelta(days=5)


def test_a_401_after_the_refresh_wants_a_person(desk: Desk, schwab: Schwab) -> None:
    schwab.says(QUOTES, Answer(status=401))

    with pytest.raises(LoginNeeded, match="log in with: phaseline schwab-login"):
        desk.prices.quote("AAPL", NOW)
    assert schwab.paths() == ["quotes", "token", "quotes"]
    assert desk.waited_s == []


def test_a_token_that_is_about_to_end_is_refreshed_before_the_question(
    desk: Desk, schwab: Schwab, tokens: TokenFile
) -> None:
    tokens.write({**tokens.read(), "token": token(lasts_s=200)})

    desk.prices.quote("AAPL", NOW)

    assert schwab.paths() == ["token", "quotes"]


def test_a_token_that_another_process_refreshed_is_taken_over(
    desk: Desk, schwab: Schwab, tokens: TokenFile
) -> None:
    desk.prices.quote("AAPL", NOW)
    tokens.write({**tokens.read(), "token": token("access-of-another")})
    schwab.says(QUOTES, Answer(status=401), Answer(quoted(190.5, NOW)))

    desk.prices.quote("AAPL", NOW)

    assert schwab.paths() == ["quotes", "quotes", "quotes"]
    assert schwab.asked[-1][2] == "Bearer access-of-another"


def test_a_refresh_token_that_has_ended_wants_a_person_and_the_error_tells_no_secret(
    desk: Desk, schwab: Schwab, tokens: TokenFile
) -> None:
    schwab.says(
        TOKEN, Answer({"error": "invalid_client", "error_description": "refresh-1 hush-hush"}, status=400)
    )
    tokens.write({**tokens.read(), "token": token(lasts_s=0)})

    with pytest.raises(LoginNeeded, match="without a person") as caught:
        desk.prices.quote("AAPL", NOW)

    assert not any(secret in str(caught.value) for secret in ("refresh-1", "hush-hush", "access-1"))
    assert "hush-hush" not in repr(APP)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "nobody has logged in to Schwab yet"),
        ("{", "can't be read"),
        ("[]", "holds no token"),
        ('{"creation_timestamp": 1, "token": {"access_token": "x"}}', "holds no token"),
    ],
)
def test_a_token_file_that_is_no_use_wants_a_person(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "schwab.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    with pytest.raises(LoginNeeded, match=rf"{said}.*phaseline schwab-login"):
        TokenFile(path).read()


def test_the_token_file_is_its_owners_alone_and_replaced_as_a_whole(tokens: TokenFile) -> None:
    before = tokens.path.stat().st_ino

    tokens.write({"creation_timestamp": 1, "token": token("new")})

    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600
    assert tokens.path.stat().st_ino != before
    assert [one.name for one in tokens.path.parent.iterdir()] == ["schwab.json"]


def test_a_content_that_cannot_be_written_leaves_the_old_one(tokens: TokenFile) -> None:
    before = tokens.path.read_text()

    with pytest.raises(TypeError):
        tokens.write({"token": object()})

    assert tokens.path.read_text() == before
    assert [one.name for one in tokens.path.parent.iterdir()] == ["schwab.json"]


def test_two_processes_never_refresh_at_once(tokens: TokenFile) -> None:
    with tokens.lock():
        meanwhile = _try_elsewhere(tokens)

    assert meanwhile == "taken"
    assert _try_elsewhere(tokens) == "free"


def _try_elsewhere(tokens: TokenFile) -> str:
    """Return what another process finds that tries the lock and doesn't wait."""
    lock = f"{tokens.path}.lock"
    code = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'w')\n"
        "try: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except OSError: print('taken')\n"
        "else: print('free')\n"
    )
    run = subprocess.run([sys.executable, "-c", code, lock], capture_output=True, text=True, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize(("days_ago", "told"), [(2, False), (6.1, True), (8, True)])
def test_the_end_of_the_login_is_told_a_day_ahead(
    desk: Desk, tokens: TokenFile, days_ago: float, told: bool
) -> None:
    begun = int((NOW - timedelta(days=days_ago)).timestamp())
    tokens.write({"creation_timestamp": begun, "token": token()})

    remarks = desk.prices.remarks()

    assert [one.type for one in remarks] == (["schwab_login_ends"] if told else [])
    assert all("log in with: phaseline schwab-login" in one.message for one in remarks)


def test_without_a_token_there_is_no_remark_of_its_end(desk: Desk, tokens: TokenFile) -> None:
    tokens.path.unlink()

    assert list(desk.prices.remarks()) == []


# --- logging in ---


def test_a_person_logs_in_and_the_token_is_kept(schwab: Schwab, tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path / "schwab.json")
    login = begin_login(APP, "https://127.0.0.1:8182")
    received = f"https://127.0.0.1:8182/?code=C0.abc%40&session=1&state={login.state}"

    end_login(login, received, tokens, int(NOW.timestamp()), schwab.transport())

    assert login.address.startswith("https://api.schwabapi.com/v1/oauth/authorize?")
    assert "hush-hush" not in login.address
    assert schwab.asked[0][1]["code"] == ["C0.abc@"]
    assert tokens.read()["token"]["access_token"] == "access-2"
    assert login_by(tokens.read()) == NOW + timedelta(days=7)


@pytest.mark.parametrize(
    "received", ["https://127.0.0.1:8182/?code=1&state=another", "https://127.0.0.1:8182/", "nonsense"]
)
def test_an_address_of_another_login_is_refused(schwab: Schwab, tmp_path: Path, received: str) -> None:
    tokens = TokenFile(tmp_path / "schwab.json")

    with pytest.raises(PricesUnavailable):
        end_login(begin_login(APP, "https://127.0.0.1:8182"), received, tokens, 0, schwab.transport())
    assert not tokens.path.exists()


# --- the real package ---


def test_the_installed_schwab_py_has_what_is_used_of_it(tokens: TokenFile) -> None:
    for asked, takes in [
        (Client.get_quotes, {"symbols"}),
        (Client.get_price_history_every_day, {"symbol", "start_datetime", "end_datetime"}),
        (
            Client.get_price_history_every_five_minutes,
            {"symbol", "start_datetime", "end_datetime", "need_extended_hours_data"},
        ),
    ]:
        assert takes <= set(inspect.signature(asked).parameters)

    own = open_client(APP, tokens)
    theirs = auth.client_from_access_functions("an-app", "hush-hush", tokens.read, tokens.write)

    assert type(own) is type(theirs) is Client
    assert type(own.session) is type(theirs.session)
    assert own.session.metadata["token_endpoint"] == theirs.session.metadata["token_endpoint"]
    assert dict(own.session.token) == dict(theirs.session.token)
    own.session.close()
    theirs.session.close()


def test_a_file_of_schwab_pys_own_tools_is_read(tokens: TokenFile) -> None:
    metadata = auth.TokenMetadata(
        token(), 1_700_000_000, lambda found, **_: tokens.path.write_text(json.dumps(found))
    )
    metadata.wrapped_token_write_func()(token("theirs"))

    assert tokens.read()["token"]["access_token"] == "theirs"
    assert login_by(tokens.read()) == datetime.fromtimestamp(1_700_000_000, UTC) + timedelta(days=7)
