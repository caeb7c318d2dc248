"""The shapes of what comes in and goes out, as they stand in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api.closing import MAX_REASON_CHARS
from api.params import Asked
from api.settings import AnalyzerName, SourceName, Subreddit

ItemT = TypeVar("ItemT")
Status = Literal["running", "completed", "failed"]
Instant = Annotated[str, Field(description="ISO 8601, UTC, with Z", examples=["2020-12-01T18:00:00.000Z"])]
Share = Annotated[float, Field(description="a share of one, not percent")]
Verdict = Literal["correct", "incorrect", "excluded"]
Dollars = Annotated[float, Field(description="US dollars")]


class Problem(BaseModel):
    """RFC 9457. `code` is stable; further members depend on it."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str = Field(description="one sentence for people: what was asked, what was found, what to do")
    code: str = Field(examples=["analysis_already_running"])


class Page(BaseModel, Generic[ItemT]):
    """A part of a list."""

    items: list[ItemT]
    next_cursor: int | None = Field(
        description="pass it as `cursor` for the next part; null after the last one"
    )


# --- runs ---


class AnalyzeRequest(BaseModel):
    """What to analyse; whatever is left out is as the settings say."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {},
                {
                    "subreddit": "stocks",
                    "source": "archive:submissions.zst,comments.zst",
                    "analyzer": "lexicon",
                    "params": {"as_of": "2020-12-01T18:00:00Z"},
                },
            ]
        },
    )

    subreddit: Subreddit | None = None
    source: SourceName | None = None
    analyzer: AnalyzerName | None = None
    params: dict[str, JsonValue] = {}
    """Told to the phases; `as_of` among them is the instant that the run pretends it is."""

    def asked(self) -> Asked:
        """Return the request as a value."""
        return Asked(subreddit=self.subreddit, source=self.source, analyzer=self.analyzer, params=self.params)


class RunStatus(BaseModel):
    """A run as it is now, small."""

    run_id: int
    status: Status
    state: str = Field(description="a phase's state, completed or failed")
    current_phase: int = Field(description="the phase's own number")
    phase_label: str
    progress_current: int = Field(description="position of the phase that was entered last")
    progress_total: int = Field(description="number of phases")
    step_current: int | None = Field(description="how far the phase is, by its own count")
    step_total: int | None
    step_unit: str | None
    started_at: Instant
    updated_at: Instant
    completed_at: Instant | None
    error_code: str | None
    error_message: str | None
    warnings: list[dict[str, Any]] | None
    results: dict[str, Any]
    cancelling: bool = Field(description="a cancel was asked for and waits for the next check point")


class RunView(BaseModel):
    """The whole run."""

    id: int
    status: Status
    state: str
    current_phase: int
    phase_label: str
    progress_current: int
    progress_total: int
    step_current: int | None
    step_total: int | None
    step_unit: str | None
    params: dict[str, Any]
    results: dict[str, Any]
    warnings: list[dict[str, Any]] | None
    started_at: Instant
    updated_at: Instant
    completed_at: Instant | None
    error_code: str | None
    error_message: str | None
    attempt: int = Field(description="how often the phase was entered; 1 unless its process died")
    version: int = Field(description="goes up with each commit")
    active_s: float = Field(description="seconds of active time up to the last commit")
    registry: str = Field(description="stands for the list of phases that the run was started with")
    cancelling: bool


class EventView(BaseModel):
    """One move of a run, or a refused one (`detail.refused`)."""

    seq: int
    run_id: int
    at: Instant
    trigger: str
    source: str = Field(description="empty for start")
    dest: str
    phase: int
    attempt: int
    detail: dict[str, Any] | None


class StateView(BaseModel):
    """A state of the machine."""

    state: str
    label: str
    phase: int | None = Field(description="the phase's number; null for completed and failed")


class EdgeView(BaseModel):
    """One legal transition."""

    trigger: str
    source: str
    dest: str
    rolls_back: bool
    only_where_it_failed: bool


class MachineView(BaseModel):
    """The one table of a registry."""

    registry: str
    states: list[StateView]
    edges: list[EdgeView]


# --- what the pipeline found ---


class PositionSummary(BaseModel):
    """What became of a signal in one portfolio."""

    position_id: int
    status: Literal["open", "closed"]
    entry_date: str
    entry_price: Dollars
    unrealized_return_pct: Share | None
    realized_return_pct: Share | None
    hold_days: int | None


class ConfidenceParts(BaseModel):
    """What a confidence is the sum of, each part already weighted."""

    volume: Share
    alignment: Share
    ai_confidence: Share
    author_trust: Share


class SignalView(BaseModel):
    """A daily signal for one ticker. The parts come with the detail, what follows with `portfolio_id`."""

    id: int
    ticker: str
    signal_type: Literal["quality", "consensus"]
    signal_date: str
    prediction: Literal["bullish", "bearish"]
    confidence: Share
    comment_count: int
    sentiment_score: float = Field(description="-1 to 1")
    has_reasoning: bool
    is_emergence: bool | None
    prior_7d_mentions: int
    distinct_users: int
    confidence_parts: ConfidenceParts | None = Field(
        None, description="null where its comments or the configuration have changed since"
    )
    position_opened: bool | None = None
    skip_reason: str | None = None
    position_summary: PositionSummary | None = None


class TickerSentimentView(BaseModel):
    """The stance of a comment on one ticker."""

    ticker: str
    sentiment: Literal["bullish", "bearish", "neutral"]


class CommentView(BaseModel):
    """A comment that a signal rests on. `author` is a pseudonym; `body` is a stranger's text."""

    id: int
    body: str | None
    author: str | None
    created_utc: Instant
    score: int
    depth: int
    parent_comment_id: int | None
    sentiment: str | None
    sarcasm_detected: bool | None
    has_reasoning: bool | None
    ai_confidence: Share | None
    author_trust_score: Share | None
    reasoning_summary: str | None
    analyzer: str | None
    ticker_sentiments: list[TickerSentimentView]


class ConfidencePoint(BaseModel):
    """A signal's confidence on a day."""

    date: str
    confidence: Share


class AllocationView(BaseModel):
    """What an open position is worth, at its last price."""

    position_id: int
    ticker: str
    market_value: Dollars
    share_pct: Share


class PortfolioView(BaseModel):
    """One of the paper portfolios. `allocation` comes with the detail only."""

    id: int
    name: str
    instrument_type: Literal["stock", "option"]
    signal_type: Literal["quality", "consensus"]
    starting_capital: Dollars
    current_value: Dollars
    cash_available: Dollars
    created_at: Instant
    open_position_count: int
    total_pnl: Dollars
    total_pnl_pct: Share
    allocation: list[AllocationView] | None = None


class EquityPoint(BaseModel):
    """What a portfolio was worth at the last look of a day; days without a look have none."""

    day: str = Field(description="the exchange's date")
    at: Instant
    value: Dollars = Field(description="cash and what is held")
    cash: Dollars
    held: Dollars = Field(description="the open positions, each at its last known price")
    oldest_price_at: Instant | None = Field(
        description="when the oldest of those was made; null: none is held"
    )
    benchmark: Dollars | None = Field(description="SPY at the same instant; null where it had no price")


class ExitView(BaseModel):
    """A sale of a position or of a part of it."""

    id: int
    exit_date: str
    exited_at: Instant
    exit_price: Dollars
    exit_reason: str
    note: str | None
    quantity_pct: Share
    shares_exited: int | None
    contracts_exited: int | None
    realized_pnl: Dollars


class PositionView(BaseModel):
    """A paper position, at its last price (`last_price_at` says from when)."""

    id: int
    portfolio_id: int
    signal_id: int
    ticker: str
    instrument_type: Literal["stock", "option"]
    signal_type: Literal["quality", "consensus"]
    direction: str
    confidence: Share
    position_size: Dollars
    entry_date: str
    entered_at: Instant
    entry_price: Dollars
    entry_basis: str
    status: Literal["open", "closed"]
    last_checked_at: Instant
    current_price: Dollars | None
    last_price_at: Instant | None
    shares: int | None
    shares_remaining: int | None
    stop_loss_price: Dollars | None
    take_profit_price: Dollars | None
    peak_price: Dollars | None
    trailing_stop_active: bool
    option_type: str | None
    strike_price: Dollars | None
    expiration_date: str | None
    contract_symbol: str | None = Field(description="the OCC's name of the contract")
    contracts: int | None
    contracts_remaining: int | None
    premium_paid: Dollars | None = Field(description="a share; a contract is for a hundred")
    peak_premium: Dollars | None
    underlying_price_at_entry: Dollars | None
    exit_date: str | None
    exit_reason: str | None
    realized_return_pct: Share | None
    unrealized_return_pct: Share | None
    nearest_exit_distance_pct: Share | None = Field(
        description="how far the price is from the nearest stop or target, as a share of the price"
    )
    hold_days: int = Field(description="calendar days up to the exit, or up to the last look")
    dte: int | None = Field(description="days to expiration at the last look")
    premium_change_pct: Share | None
    position_exits: list[ExitView]


class PremiumPoint(BaseModel):
    """What an option was seen at."""

    at: Instant
    premium: Dollars = Field(description="for one share of the contract as it was then")
    underlying_price: Dollars | None


class CloseRequest(BaseModel):
    """A person's sale."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    reason: str = Field(min_length=1, max_length=MAX_REASON_CHARS, description="kept with the sale")
    quantity_pct: float = Field(
        default=1.0,
        description="how much of what is left, a share of one; rounded down to whole units, at least one",
        json_schema_extra={
            "exclusiveMinimum": 0,
            "maximum": 1,
        },  # told, but checked later: it is answered with 400
    )


class ClosedView(BaseModel):
    """A position after a sale, the sale, and how old its price was."""

    position: PositionView
    exit: ExitView
    price_at: Instant = Field(description="when the price was made")
    price_usable_until: Instant = Field(description="when the exchange opens next after that")


class OutcomeView(BaseModel):
    """What an option was worth on a day after its entry."""

    day_offset: int = Field(description="calendar days since the entry")
    premium: Dollars
    underlying_price: Dollars | None
    recorded_at: Instant


class PredictionExitView(BaseModel):
    """A simulated sale."""

    id: int
    exit_date: str
    exited_at: Instant
    exit_premium: Dollars
    exit_reason: str
    note: str | None
    quantity_pct: Share = Field(description="of what was left")
    contracts_exited: int
    simulated_pnl: Dollars


class PredictionView(BaseModel):
    """What a comment's stance on a ticker would bring as an option. Premiums are for one share."""

    id: int
    comment_id: int
    ticker: str
    sentiment: Literal["bullish", "bearish"]
    option_type: Literal["call", "put"]
    analysis_run_id: int
    status: Literal["unpriced", "tracking", "resolved"] = Field(
        description="unpriced: no option could be had for it; it may come with a later run of that session"
    )
    entry_date: str = Field(description="the session in which it was, or might be, bought")
    strike_price: Dollars | None
    expiration_date: str | None
    contract_symbol: str | None
    entry_premium: Dollars | None
    entry_basis: str | None
    entered_at: Instant | None
    last_checked_at: Instant | None
    contracts: int | None
    contracts_remaining: int | None
    current_premium: Dollars | None
    peak_premium: Dollars | None
    trailing_stop_active: bool
    simulated_return_pct: Share | None
    is_correct: bool | None = Field(description="whether it would have gained; null until resolved")
    resolved_at: Instant | None
    hitl_override: Verdict | None = Field(description="a person's verdict, which counts instead")
    hitl_override_at: Instant | None
    created_at: Instant
    outcomes: list[OutcomeView]
    exits: list[PredictionExitView]


class OverrideRequest(BaseModel):
    """A person's verdict on a prediction."""

    model_config = ConfigDict(extra="forbid")

    verdict: Verdict | None = Field(description="excluded: it counts for nobody; null takes a verdict back")


class EvaluationView(BaseModel):
    """Thirty days of a portfolio against its benchmark, up to the last look at both inside them."""

    id: int
    portfolio_id: int
    period_start: str = Field(description="the day before the first that counts, or the very first day")
    period_end: str = Field(description="the last day that counts")
    instrument_type: Literal["stock", "option"]
    signal_type: Literal["quality", "consensus"]
    status: Literal["active", "completed"]
    portfolio_return_pct: Share | None = Field(description="null where nobody looked inside the period")
    sp500_return_pct: Share | None = Field(description="SPY's; null where it had no price")
    relative_performance: Share | None = Field(description="the return less that of SPY")
    beat_benchmark: bool | None
    total_positions_closed: int = Field(description="positions that were closed in full")
    winning_positions: int
    losing_positions: int
    avg_return_pct: Share | None
    signal_accuracy_pct: Share | None = Field(description="the share of closed positions that gained")
    value_at_period_start: Dollars
    opened_at: Instant = Field(description="when the value at the start was looked at")
    last_value: Dollars
    last_valued_at: Instant


class GraduationView(BaseModel):
    """Whether a signal type has shown enough on paper, judged by the stock portfolios alone."""

    graduated: bool
    signal_type: Literal["quality", "consensus"] | None
    completed_windows: int
    reasons: list[str] = Field(description="what is missing, in words")


class EvaluationPage(Page[EvaluationView]):
    """All periods of a portfolio."""

    graduation: GraduationView


class PricePoint(BaseModel):
    """A stored daily close."""

    date: str
    close: Dollars


# --- the service ---


class Health(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class ChoiceView(BaseModel):
    """A source or an analyser that can be named in a request."""

    name: str
    summary: str = Field(description="what it is, in a few words")
    argument: str | None = Field(description="what follows its name after a colon; null where nothing does")
    needs_argument: bool
    package: str | None = Field(description="the package that offers it; null for Phaseline's own")
    problem: str | None = Field(description="why it can't be used and what to do; null where it can be tried")


class Defaults(BaseModel):
    """What holds where a request says nothing; of what follows a colon nothing is told."""

    subreddit: str
    source: str
    analyzer: str


class Choices(BaseModel):
    """What a run can be asked for here."""

    sources: list[ChoiceView]
    analyzers: list[ChoiceView]
    defaults: Defaults


class Readiness(BaseModel):
    """Whether this process can take work, and what it is busy with."""

    model_config = ConfigDict(extra="allow")

    ready: bool
    active_runs: list[int]
    abandoned_threads: int
