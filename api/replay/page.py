"""The report as Markdown: what was played, what came of it, and what that does not show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from api.replay.intervals import Estimate
from api.replay.outcome import Curve, Outcome, Trade, named

THIN: Final = 1_000
"""Fewer comments than this are a sample of a day, not the day: the subreddit's days had tens of thousands."""
FEW: Final = 30
"""Closed trades below which an interval says little."""


def markdown(outcome: Outcome) -> str:
    """Return the page; the picture is expected beside it as `equity.svg`."""
    plan = outcome.plan
    sections = (
        [f"# Replay of {plan.start} to {plan.end}"],
        _what_was_played(outcome),
        ["## What this does not show", *(f"- {each}" for each in _limits(outcome))],
        ["## Equity", "![Portfolios against the benchmark](equity.svg)", *_returns(outcome)],
        ["## Trades", *_trades(outcome)],
        ["## What the trades say", *_figures(outcome)],
        ["## Day by day", *_days(outcome)],
        ["## Warnings", *_warnings(outcome)],
        ["## How the figures are made", *_method(outcome)],
    )
    return "\n\n".join("\n\n".join(_paragraphs(section)) for section in sections) + "\n"


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Keep the rows of a list or table together."""
    together: list[str] = []
    for line in lines:
        if together and not (line[:1] in "-|" and line[:1] == together[-1][:1]):
            yield "\n".join(together)
            together = []
        together.append(line)
    yield "\n".join(together)


def _what_was_played(outcome: Outcome) -> list[str]:
    plan = outcome.plan
    times = ", ".join(f"{each:%H:%M}" for each in plan.at)
    rules = ", ".join(f"`{name}` = {value}" for name, value in plan.rules.items())
    return [
        (
            f"r/{plan.subreddit} from `{named(plan.source)}`, prices from `{named(plan.prices)}`, option "
            f"chains from `{named(plan.options)}`, analysed by `{plan.analyzer}`: {len(outcome.looks)} runs, "
            f"at {times} (New York) on each day on which the exchange traded. No run knew anything later "
            "than its instant."
        ),
        f"**Rules changed for this replay:** {rules}." if rules else "All rules are at their defaults.",
    ]


def _limits(outcome: Outcome) -> Iterator[str]:
    closed, looks = len(outcome.closed), outcome.looks
    thin = sum(look.comments < THIN for look in looks)
    silent = sum(look.comments == 0 for look in looks)
    yield "**No proven edge.** This is one stretch of one history, looked at after the fact."
    if not outcome.trades:
        yield "**No trade was made**, so nothing here says whether the signals are worth anything."
    elif closed < FEW:
        yield (
            f"**Few trades:** {closed} closed. The portfolios often hold the same share on the same days, so "
            "there are fewer independent cases than rows, and the true interval is wider still."
        )
    if thin:
        yield (
            f"**A thin sample:** {thin} of {len(looks)} runs had fewer than {THIN:,} comments to go by, "
            f"{silent} of them none at all. What an archive left out can't be seen here."
        )
    if stale := sum(trade.entry_is_before_its_reason for trade in outcome.trades):
        yield (
            f"**Fills from before their reason:** {stale} of {len(outcome.trades)}. With daily prices a run "
            "in mid-session buys at the day's opening price, which could no longer be had when its comments "
            "were written. A run at the opening (`--at 09:30`) has no such fills."
        )
    yield (
        "**Fills are modelled:** whole orders at one printed price, no spread, fees, slippage or halts; "
        "stops are filled at the worse of their level and the opening price. A daily bar doesn't say whether "
        "its high or its low came first, so a target and a trailing stop of one day are a guess."
    )
    yield (
        "**Survivorship:** comments that were removed before the archive was made are missing, and the price "
        "file holds only the symbols that somebody chose to keep."
    )
    yield (
        "**Scores are as of their retrieval:** where an archive saw a comment's score only after a run's "
        "instant, the run used Reddit's start value 1, so popular comments count for less than they did live."
    )


def _returns(outcome: Outcome) -> Iterator[str]:
    yield "| | start | end | return | against the benchmark | open positions |"
    yield "|---|--:|--:|--:|--:|--:|"
    reference = outcome.benchmark.return_pct
    for curve in outcome.curves:
        still_open = sum(t.portfolio == curve.name and t.status == "open" for t in outcome.trades)
        gain = curve.return_pct
        relative = None if gain is None or reference is None else gain - reference
        yield f"| {curve.name} | {_ends(curve)} | {_pct(gain)} | {_points(relative)} | {still_open} |"
    if reference is None:
        yield f"The benchmark {outcome.benchmark.name} is missing: the prices do not hold that symbol."
        return
    held = f"{outcome.benchmark.name}, held throughout"
    yield f"| {held} | {_ends(outcome.benchmark)} | {_pct(reference)} | | |"


def _ends(curve: Curve) -> str:
    known = [value for value in curve.values if value is not None]
    return f"{known[0]:,.2f} | {known[-1]:,.2f}" if known else " | "


def _trades(outcome: Outcome) -> Iterator[str]:
    if not outcome.trades:
        yield "None: no signal reached the confidence that a trade asks for, or none could be bought."
        return
    yield "| share | portfolio | confidence | entry | exits | return |"
    yield "|---|---|--:|---|---|--:|"
    for trade in outcome.trades:
        entry = f"{trade.entry_day} at {trade.entry_price:,.2f}"
        suffix = "" if trade.status == "closed" else " so far"
        yield (
            f"| {trade.ticker} | {trade.portfolio} | {trade.confidence:.2f} | {entry} | {_sales(trade)} "
            f"| {_pct(trade.return_pct)}{suffix} |"
        )


def _sales(trade: Trade) -> str:
    said = [
        f"{sale.day} at {sale.price:,.2f} ({sale.reason.replace('_', ' ')}"
        f"{'' if sale.quantity_pct == 1 else f', {sale.quantity_pct:.0%}'})"
        for sale in trade.sales
    ]
    return "; ".join([*said, *([] if trade.status == "closed" else ["open"])])


def _figures(outcome: Outcome) -> Iterator[str]:
    closed = len(outcome.closed)
    if not closed:
        yield "No trade was closed, so there is no hit rate and no mean return."
        return
    yield "| | value | 95% interval |"
    yield "|---|--:|---|"
    yield f"| closed trades with a gain ({outcome.hits} of {closed}) | {_estimate(outcome.hit_rate)} |"
    yield f"| mean return of a closed trade | {_estimate(outcome.mean_return, sign='+')} |"
    yield "By reason of exit:"
    yield "| reason | count |"
    yield "|---|--:|"
    for reason, count in outcome.exits_by_reason.items():
        yield f"| {reason.replace('_', ' ')} | {count} |"


def _days(outcome: Outcome) -> Iterator[str]:
    types = sorted({name for look in outcome.looks for name in look.signals} | {"consensus", "quality"})
    heads = ["run (New York)", "comments", "with text", "analysed", *(f"{name} signals" for name in types)]
    yield f"| {' | '.join([*heads, 'opened', 'exits', 'warnings'])} |"
    yield f"|---|{'--:|' * (len(heads) + 2)}"
    for look in outcome.looks:
        counts = [
            look.comments,
            look.with_text,
            look.analyzed,
            *(look.signals.get(name, 0) for name in types),
        ]
        cells = [look.when, *counts, look.opened, look.exits, look.warnings]
        yield f"| {' | '.join(map(str, cells))} |"
    yield (
        "Comments are those that the archive has from the look-back before the run (24 hours unless told "
        "otherwise); comments between two look-backs, as on a weekend, are in none."
    )


def _warnings(outcome: Outcome) -> Iterator[str]:
    if not outcome.warnings:
        yield "None."
        return
    yield "| type | count |"
    yield "|---|--:|"
    for name, count in outcome.warnings.items():
        yield f"| `{name}` | {count} |"


def _method(outcome: Outcome) -> Sequence[str]:
    return (
        "- Equity: cash and holdings at the last price known at each run's instant; the benchmark likewise.",
        "- Return of a trade: gain over what was really paid, all of its sales together.",
        "- Hit rate: Wilson's score interval (Wilson 1927, JASA 22, 209-212).",
        (
            "- Mean return: percentile bootstrap, 10,000 draws (Efron 1979, Annals of Statistics 7, 1-26), "
            f"seed {outcome.seed}."
        ),
    )


def _estimate(estimate: Estimate | None, *, sign: str = "") -> str:
    if estimate is None:
        return "too few | too few"
    return f"{estimate.value:{sign}.1%} | {estimate.low:{sign}.1%} to {estimate.high:{sign}.1%}"


def _pct(share: float | None) -> str:
    return "" if share is None else f"{share:+.2%}"


def _points(share: float | None) -> str:
    return "" if share is None else f"{share * 100:+.2f} points"
