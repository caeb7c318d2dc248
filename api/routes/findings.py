"""What the pipeline found: signals with their evidence, portfolios, positions, prices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query

from api import findings
from api.models import (
    CommentView,
    ConfidencePoint,
    EquityPoint,
    EvaluationPage,
    Page,
    PortfolioView,
    PositionView,
    PredictionView,
    PremiumPoint,
    PricePoint,
    SignalView,
)
from api.routes.common import Cursor, Id, Limit, Shared
from api.status import MAX_ID

router = APIRouter(tags=["findings"])

TICKER = r"^[A-Za-z0-9.\-]{1,10}$"
OptionalId = Annotated[int | None, Query(ge=1, le=MAX_ID)]
OptionalTicker = Annotated[str | None, Query(pattern=TICKER)]
Day = Annotated[str | None, Query(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Days = Annotated[int, Query(ge=1, le=3660)]
SignalType = Literal["quality", "consensus"]
Instrument = Literal["stock", "option"]


def _page(items: Sequence[dict[str, Any]], limit: int) -> dict[str, Any]:
    return {"items": items, "next_cursor": items[-1]["id"] if len(items) == limit else None}


def _whole(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {"items": items, "next_cursor": None}


def _upper(ticker: str | None) -> str | None:
    return None if ticker is None else ticker.upper()


@router.get("/signals", response_model=Page[SignalView], response_model_exclude_unset=True)
def list_signals(
    services: Shared,
    ticker: OptionalTicker = None,
    signal_type: SignalType | None = None,
    date_from: Day = None,
    date_to: Day = None,
    portfolio_id: OptionalId = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List signals, newest first; with `portfolio_id` also what became of each there."""
    filters = {
        "ticker =": _upper(ticker),
        "signal_type =": signal_type,
        "signal_date >=": date_from,
        "signal_date <=": date_to,
    }
    with services.reading() as reader:
        found = findings.signals(reader, filters, portfolio_id=portfolio_id, cursor=cursor, limit=limit)
    return _page(found, limit)


@router.get("/signals/history")
def get_signal_history(
    services: Shared, signal_type: SignalType, ticker: OptionalTicker = None, days: Days = 14
) -> dict[str, list[ConfidencePoint]]:
    """Return each ticker's daily confidence over the last days on record."""
    with services.reading() as reader:
        history = findings.signal_history(reader, _upper(ticker), signal_type, days)
    return {ticker: [ConfidencePoint(**point) for point in points] for ticker, points in history.items()}


@router.get("/signals/{signal_id}", response_model=SignalView, response_model_exclude_unset=True)
def get_signal(services: Shared, signal_id: Id) -> dict[str, Any]:
    """Return one signal."""
    with services.reading() as reader:
        return findings.signal(reader, signal_id)


@router.get("/signals/{signal_id}/comments", response_model=Page[CommentView])
def list_signal_comments(services: Shared, signal_id: Id) -> dict[str, Any]:
    """List the comments that a signal rests on, best first; all of them at once."""
    with services.reading() as reader:
        return _whole(findings.signal_comments(reader, signal_id))


@router.get("/portfolios", response_model=Page[PortfolioView], response_model_exclude_unset=True)
def list_portfolios(services: Shared) -> dict[str, Any]:
    """List the paper portfolios."""
    with services.reading() as reader:
        return _whole(findings.portfolios(reader))


@router.get("/portfolios/{portfolio_id}", response_model=PortfolioView)
def get_portfolio(services: Shared, portfolio_id: Id) -> dict[str, Any]:
    """Return one portfolio, with what its open positions are worth."""
    with services.reading() as reader:
        return findings.portfolio(reader, portfolio_id)


@router.get("/portfolios/{portfolio_id}/equity", response_model=Page[EquityPoint])
def list_equity(services: Shared, portfolio_id: Id, days: Days = 366) -> dict[str, Any]:
    """List what a portfolio was worth over the last days on record, beside the benchmark: a point a day."""
    with services.reading() as reader:
        return _whole(findings.equity(reader, portfolio_id, days))


@router.get("/positions", response_model=Page[PositionView])
def list_positions(
    services: Shared,
    portfolio_id: OptionalId = None,
    status: Literal["open", "closed"] | None = None,
    ticker: OptionalTicker = None,
    instrument_type: Instrument | None = None,
    signal_type: SignalType | None = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List positions, newest first, each with its sales."""
    filters = {
        "portfolio_id =": portfolio_id,
        "status =": status,
        "ticker =": _upper(ticker),
        "instrument_type =": instrument_type,
        "signal_type =": signal_type,
    }
    with services.reading() as reader:
        return _page(findings.positions(reader, filters, cursor=cursor, limit=limit), limit)


@router.get("/positions/{position_id}", response_model=PositionView)
def get_position(services: Shared, position_id: Id) -> dict[str, Any]:
    """Return one position with its sales."""
    with services.reading() as reader:
        return findings.position(reader, position_id)


@router.get("/positions/{position_id}/premiums", response_model=Page[PremiumPoint])
def list_premiums(services: Shared, position_id: Id) -> dict[str, Any]:
    """List what monitoring saw of an option position, oldest first; all at once, none for shares."""
    with services.reading() as reader:
        return _whole(findings.premiums(reader, position_id))


@router.get("/predictions", response_model=Page[PredictionView])
def list_predictions(
    services: Shared,
    ticker: OptionalTicker = None,
    status: Literal["unpriced", "tracking", "resolved"] | None = None,
    sentiment: Literal["bullish", "bearish"] | None = None,
    comment_id: OptionalId = None,
    run_id: OptionalId = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List what comments predicted, newest first, each with its daily premiums and its simulated sales."""
    filters = {
        "ticker =": _upper(ticker),
        "status =": status,
        "sentiment =": sentiment,
        "comment_id =": comment_id,
        "analysis_run_id =": run_id,
    }
    with services.reading() as reader:
        return _page(findings.predictions(reader, filters, cursor=cursor, limit=limit), limit)


@router.get("/predictions/{prediction_id}", response_model=PredictionView)
def get_prediction(services: Shared, prediction_id: Id) -> dict[str, Any]:
    """Return one prediction with its daily premiums and its simulated sales."""
    with services.reading() as reader:
        return findings.prediction(reader, prediction_id)


@router.get("/evaluation-periods", response_model=EvaluationPage)
def list_evaluation_periods(
    services: Shared, portfolio_id: Annotated[int, Query(ge=1, le=MAX_ID)]
) -> dict[str, Any]:
    """List a portfolio's evaluation periods, newest first, and say whether a signal type has graduated."""
    with services.reading() as reader:
        periods = _whole(findings.evaluation_periods(reader, portfolio_id))
        return {**periods, "graduation": findings.graduated(reader)}


@router.get("/prices/{ticker}", response_model=Page[PricePoint])
def list_prices(
    services: Shared, ticker: Annotated[str, Path(pattern=TICKER)], days: Days = 14
) -> dict[str, Any]:
    """List the closes of a ticker over the last days on record; an unknown ticker has none."""
    with services.reading() as reader:
        return _whole(findings.prices(reader, ticker.upper(), days))
