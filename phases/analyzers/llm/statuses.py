"""What an HTTP status says: wait, give this comment up, or give the server up."""

from __future__ import annotations

from typing import Final

from phases.analyzers.llm.endpoint import Received
from phases.analyzers.llm.outcomes import Outcome
from phases.analyzers.llm.reply import error_of
from phases.analyzers.llm.settings import Address

HTTP_OK: Final = 200
REDIRECTS: Final = range(300, 400)
UNAUTHORIZED, PAYMENT, FORBIDDEN, NOT_FOUND, METHOD, TOO_MANY = 401, 402, 403, 404, 405, 429
PASSING: Final = {408, 409, 425}
UNUSABLE: Final = {400, 422}
SERVER_ERRORS: Final = 500

_NO_CREDIT: Final = "insufficient_quota"
_FILTER: Final = "content_filter"

_HOPELESS: Final = {
    UNAUTHORIZED: "{host} does not accept the key (HTTP {status}); correct LLM_API_KEY",
    PAYMENT: "the account at {host} has no credit left (HTTP {status}); top it up",
    FORBIDDEN: "{host} does not let this key use {model} (HTTP {status}); correct LLM_API_KEY or LLM_MODEL",
    NOT_FOUND: "{host} has no model {model}, or no API at that path (HTTP {status}); "
    "correct LLM_MODEL or LLM_BASE_URL",
    METHOD: "{host} has no API at that path (HTTP {status}); correct LLM_BASE_URL",
    **dict.fromkeys(
        REDIRECTS, "{host} sends us elsewhere (HTTP {status}), which is not followed; correct LLM_BASE_URL"
    ),
}


def hopeless_because(received: Received, address: Address) -> str | None:
    """Return why a server won't answer any comment, as one sentence; `None` where it may."""
    said = _HOPELESS.get(PAYMENT if _has_no_credit(received) else received.status)
    if said is None:
        return None
    where = said.format(host=address.host, model=address.model, status=received.status)
    return f"{where}, then resume the run"


def outage(sent: Received | Outcome) -> Outcome | None:
    """Return what a passing trouble of the server is called, `None` where there is none."""
    if isinstance(sent, Outcome):
        return sent if sent is Outcome.UNREACHABLE else None
    if sent.status == TOO_MANY:
        return None if _has_no_credit(sent) else Outcome.RATE_LIMITED
    return Outcome.SERVER_ERROR if sent.status in PASSING or sent.status >= SERVER_ERRORS else None


def _has_no_credit(received: Received) -> bool:
    return received.status == TOO_MANY and error_of(received.body)[0] == _NO_CREDIT


def refused_parameter(received: Received) -> str | None:
    """Return the parameter that a server says it can't take, `None` where that is not its trouble."""
    return error_of(received.body)[1] if received.status in UNUSABLE else None


def refusal(received: Received) -> Outcome:
    """Return what another status than 200 means for the one comment."""
    code, _ = error_of(received.body)
    return Outcome.FILTERED if code == _FILTER else Outcome.REJECTED
