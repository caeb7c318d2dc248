"""What a person decides beside the runs: selling a position, and verdicts on predictions."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from api import findings
from api.closing import close
from api.models import ClosedView, CloseRequest, OverrideRequest, PredictionView
from api.problems import NotFound
from api.routes.common import Id, Shared
from api.writing import writing

router = APIRouter(tags=["decisions"])


@router.post("/positions/{position_id}/close", response_model=ClosedView)
def close_position(services: Shared, position_id: Id, request: CloseRequest) -> dict[str, Any]:
    """Sell an open position, or a part of it, at its stored price; the answer says of when that is."""
    with services.reading() as reader:  # where there are no positions, this says so
        findings.position(reader, position_id)
    sale = close(
        services.runner.db,
        position_id,
        reason=request.reason,
        quantity=request.quantity_pct,
        clock=services.clock,
    )
    with services.reading() as reader:
        position = findings.position(reader, position_id)
    (exit_,) = [each for each in position["position_exits"] if each["id"] == sale.exit_id]
    return {
        "position": position,
        "exit": exit_,
        "price_at": sale.price_at,
        "price_usable_until": sale.price_usable_until,
    }


@router.post("/predictions/{prediction_id}/override", response_model=PredictionView)
def override_prediction(services: Shared, prediction_id: Id, request: OverrideRequest) -> dict[str, Any]:
    """Say whether a prediction was right; a person's verdict counts instead of the market's."""
    from phases.scoring.overrides import override  # noqa: PLC0415  # other phases need no pipeline

    with services.reading() as reader:  # where there are no predictions, this says so
        findings.prediction(reader, prediction_id)
    with writing(services.runner.db) as conn:
        if not override(conn, prediction_id, request.verdict, services.clock.now()):
            raise NotFound(f"there is no prediction {prediction_id}")
    with services.reading() as reader:
        return findings.prediction(reader, prediction_id)
