"""The outside world as the pipeline sees it: small records and the Protocols that bring them.

Implementations are in `sources/`, `analyzers/` and `prices/`; the composition root chooses them and puts
them into one `Tools`. A phase reaches the world through `ctx.tools` only, so a test can hand it a fake.

Money is counted in *ticks*: whole ten-thousandths of a US dollar (see `money.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Final, Literal, Protocol, TypeVar, runtime_checkable

from statemachine.contract import Clock, RunContext

Sentiment = Literal["bullish", "bearish", "neutral"]

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One submission."""

    reddit_id: str
    """Base-36 id without the `t3_` prefix."""
    title: str
    selftext: str | None = ""
    """Empty where deleted, `None` where only a later wording is known."""
    author: str | None = None
    """As the source names it; `None` where deleted. The fetch phase stores a pseudonym."""
    created_utc: datetime
    score: int | None = 1
    """`None` where only a later count is known: then an earlier one stays, or else Reddit's start value 1."""
    comment_count: int | None = 0
    """`None` as for `score`, with the start value 0."""
    image_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """One comment."""

    reddit_id: str
    """Base-36 id without the `t1_` prefix."""
    post_id: str
    """The post's base-36 id; the post itself may never come (it is then kept as a stub)."""
    parent_id: str | None = None
    """The parent comment's base-36 id, `None` where the parent is the post."""
    author: str | None = None
    """`None` where deleted."""
    body: str | None
    """`None` where deleted or removed: the node stays in the tree, its text is not analysed."""
    created_utc: datetime
    score: int | None = 1
    """`None` where only a later count is known: then an earlier one stays, or else Reddit's start value 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """An item that the source could not use; counted by reason, never silently dropped."""

    reason: str
    """A short, stable word such as `bad_json`, `later_than_as_of`, `other_subreddit`."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostEnd:
    """Said by a source that goes post by post: this one is complete, and what it brought is made durable."""

    post_id: str
    comments_left: int = 0
    """How many comments there are that the source wanted and could not bring."""
    links_left: int = 0
    """How many links to further comments were not followed; behind some of them nobody knows how many are."""
    reason: str = ""
    """Why they were left, as a short, stable word such as `budget` or `refused`; empty where none was."""


SourceItem = Post | Comment | Skipped | PostEnd


class Source(Protocol):
    """Where posts and comments come from."""

    name: str

    def read(
        self,
        *,
        subreddit: str,
        as_of: datetime,
        progress: Callable[[int, int | None, str], None],
        remaining_s: Callable[[], float],
    ) -> Iterator[SourceItem]:
        """Yield posts and comments created at or before `as_of`, in any order, streaming.

        `progress(current, total, unit)` is called as it goes, and at least once a second while the source
        waits; it raises where the run has to stop: let that pass. `remaining_s()` is what is left of the
        run's time. Raises `SourceUnavailable` when nothing useful can be read (missing file, outage, bad
        credentials): the run then fails with that message.
        """
        ...


class SourceUnavailable(Exception):
    """The source can't be read at all; the message says what to do."""


class AnalyzerUnavailable(Exception):
    """The analyser can't work at all, or failed for most comments; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """What an analyser gets to see of one comment. No author name, ever. Picklable."""

    body: str
    post_title: str = ""
    image_description: str | None = None
    parents: tuple[str, ...] = ()
    """Bodies of the parent chain, nearest first."""
    author_trust: float = 0.5
    written_on: date | None = None
    """The UTC day, by which renamed symbols are told."""


@dataclass(frozen=True, slots=True)
class TickerSentiment:
    """The stance on one ticker."""

    ticker: str
    sentiment: Sentiment


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What an analyser says of one comment. Picklable."""

    tickers: tuple[TickerSentiment, ...]
    """One entry a ticker, unique, in order of first mention."""
    sentiment: Sentiment
    sarcasm_detected: bool
    has_reasoning: bool
    confidence: float
    """0 to 1."""
    reasoning_summary: str | None = None
    """`None` unless `has_reasoning`."""
    analyzer: str
    """Which analyser answered, for example `lexicon-2` or `llm:gpt-4o-mini/1`."""
    model_call_id: int | None = None
    """The kept call (`Calls`) that it was read from; `None` where no model was asked."""


class Mapper(Protocol):
    """`ctx.map`."""

    def __call__(self, function: Callable[[ItemT], ResultT], items: Iterable[ItemT], /) -> Iterator[ResultT]:
        """Yield `function(item)` for each item, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCall:
    """One request to a model that has ended, and what came of it."""

    content_hash: str
    """SHA-256 (hex) of the model's name, the prompt's version and all that the model was shown."""
    attempt: int
    """1, or 2 for the repair."""
    model: str
    """The model that was asked for."""
    prompt_version: str
    prompt_hash: str
    """SHA-256 (hex) of the messages as they were sent."""
    outcome: str
    """A name of `phases.analyzers.llm.outcomes`."""
    is_answer: bool
    """Whether an annotation can be read from `reply`."""
    served_model: str | None = None
    """The model that the server says has answered."""
    reply: str | None = None
    """The body as it came, secrets hidden; `None` where none came."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    """As the server counted them; `None` where it didn't."""
    cost_nano_usd: int | None = None
    """US dollars times 10^9, rounded up; `None` where no price is known."""


class Calls(Protocol):
    """Keeps every call to a model, so that an answer is paid for once. For the thread of the run only."""

    def recall(self, content_hash: str) -> tuple[int, str] | None:
        """Return the number and the reply of the newest kept answer to that content."""
        ...

    def keep(self, call: ModelCall) -> int:
        """Keep a call and return its number; durable with the next check point."""
        ...

    def cost_nano_usd(self) -> int:
        """Return what this run has cost so far, in US dollars times 10^9."""
        ...

    def answers(self) -> int:
        """Return how many answers this run has got from a model so far."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What an analyser may use while it works for one run."""

    map: Mapper
    """Runs a pure function on the run's workers."""
    calls: Calls
    clock: Clock
    remaining_s: Callable[[], float]
    """Seconds left before the run's hard limit."""
    raise_if_stopping: Callable[[], None]
    """Raises where the run was cancelled or is to stop."""
    warn: Callable[..., None]
    """`RunContext.warn`."""


class Analyzer(Protocol):
    """Annotates comments."""

    name: str
    batch: int
    """Comments between two check points: five where an answer costs money, more where it costs nothing."""
    free_picks: int
    """How many comments of a run it takes at no cost; 0 where each answer is paid for."""
    fallback: Analyzer | None
    """Who answers where this one could not; its answers carry its own name."""

    def annotate_all(self, excerpts: Iterable[Excerpt], desk: Desk) -> Iterator[Annotation | None]:
        """Yield one annotation an excerpt, in order; `None` where that one could not be annotated.

        CPU-bound analysers give their pure function to `desk.map`; network-bound ones keep their own few
        requests in flight, and none while they yield: the phase then writes. Raises `AnalyzerUnavailable`
        when going on is useless.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """Prices between two instants, in ticks."""

    start: datetime
    end: datetime
    """The bar is known from this instant on; a reader at an earlier `as_of` may not see it."""
    open: int
    high: int
    low: int
    close: int
    volume: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The last price known at an instant."""

    price: int
    """Ticks."""
    at: datetime
    """When that price was made, at or before the instant asked for."""
    basis: str
    """What it is, for example `close 2020-11-30` or `open 2020-12-01`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A change of what one share is."""

    at: datetime
    """The opening bell of the first session that trades the new shares."""
    ratio: Fraction
    """New shares for one old share: 7 for a split of 7 for 1, 1/10 for a reverse split of 1 for 10."""


class PricesUnavailable(Exception):
    """The price source failed for now; skip the instrument, warn, try again at the next run."""


class NoPrice(PricesUnavailable):
    """The source works, but has no usable price of this one ticker; the message says why."""


class Prices(Protocol):
    """Where prices come from: raw, as they were traded, never adjusted for later splits or dividends.

    Nothing later than the instant asked for may be used. Raises `NoPrice` where the source can say why one
    ticker has no usable price, any other `PricesUnavailable` where it fails itself.
    """

    name: str

    def quote(self, ticker: str, at: datetime) -> Quote | None:
        """Return the last price known at `at`, or `None` for an unknown ticker or a stale price."""
        ...

    def bars(self, ticker: str, after: datetime, until: datetime) -> Sequence[Bar]:
        """Return the bars with `start >= after` and `end <= until`, in order of time."""
        ...


@runtime_checkable
class SplitSource(Protocol):
    """What a price source is too that knows of splits; see `trading/splits.py` for those that don't."""

    def splits(self, ticker: str, after: datetime, until: datetime) -> Sequence[Split]:
        """Return the splits with `after < at <= until`, in order of time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something that a run's reader should know of a source: the run's warning to be."""

    type: str
    message: str
    context: Mapping[str, object] = field(default_factory=dict[str, object])


@runtime_checkable
class Remarking(Protocol):
    """What a price source is too that has something to say after it was asked."""

    def remarks(self) -> Sequence[Remark]:
        """Return what is to be said so far, one remark a matter."""
        ...


OptionType = Literal["call", "put"]

CONTRACT_MULTIPLIER: Final = 100
"""Shares that one contract is for; a premium is told for one share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionContract:
    """One listed option."""

    symbol: str
    """The OCC's name of it, 21 characters, for example `AAPL  140627C00095000`."""
    ticker: str
    """The underlying share."""
    type: OptionType
    strike: int
    """Ticks."""
    expiration: date
    """The exchange's date; on a day without a session it ends with the session before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionQuote:
    """What is known of a contract at an instant. Premiums are ticks for one share; `None` is unknown."""

    contract: OptionContract
    at: datetime
    """When the prices were made, at or before the instant asked for."""
    bid: int | None = None
    """0: nobody buys it."""
    ask: int | None = None
    mark: int | None = None
    """A fair price as the source gives it: never an old trade."""
    last: int | None = None
    """The last trade, however old."""
    delta: float | None = None
    """-1 to 1; sources write 0 where they don't know it, too."""
    iv: float | None = None
    """Implied volatility a year, a share of one."""
    open_interest: int | None = None
    volume: int | None = None
    """Contracts traded in the session."""
    underlying: int | None = None
    """The share's price that belongs to these, in ticks."""

    @property
    def premium(self) -> int | None:
        """The mark, else the middle of bid and ask; `None` where neither is known."""
        if self.mark is not None:
            return self.mark
        return (self.bid + self.ask) // 2 if self.bid is not None and self.ask else None


LIVE: Final = timedelta(hours=2)
"""So long after its instant a run is about the present: longer than the hard limit is by default."""


class OptionChains(Protocol):
    """Where option chains come from. Nothing later than the instant asked for may be used."""

    name: str

    def chain(self, ticker: str, at: datetime) -> Sequence[OptionQuote]:
        """Return all contracts known at `at`; none for an unknown ticker, or where only now is known.

        Raises `PricesUnavailable` when the source failed for now.
        """
        ...


class NoChains:
    """Knows no options: the option portfolios don't trade."""

    name = "none"

    def chain(self, ticker: str, at: datetime) -> Sequence[OptionQuote]:  # noqa: ARG002  # the contract's names
        """Return no contract."""
        return ()


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day of the exchange."""

    day: date
    opens: datetime
    closes: datetime


class Calendar(Protocol):
    """The exchange's sessions, with holidays and half-days."""

    def session(self, day: date) -> Session | None:
        """Return the session of an exchange day, `None` where the exchange is closed all day."""
        ...

    def is_open(self, at: datetime) -> bool:
        """Return whether regular trading is on at `at` (open included, close not)."""
        ...

    def trading_date(self, at: datetime) -> date:
        """Return the calendar date in the exchange's time zone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Everything a run of the pipeline may touch, chosen by the composition root."""

    as_of: datetime
    """The instant that the run pretends it is; nothing later may be read."""
    subreddit: str
    source: Source
    analyzer: Analyzer
    prices: Prices
    calendar: Calendar
    chains: OptionChains = field(default_factory=NoChains)
    pseudonym: Callable[[str], str]
    """Turns an author's name into a keyed pseudonym; the key lies beside the database, not in it."""


Context = RunContext[Tools]
"""The context that the phases of this pipeline get."""
