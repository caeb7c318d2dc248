"""The analyser `llm` from the settings, and what is missing where it can't be made. Imports no client."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

from api.settings import Settings, spellings

HIDDEN_KEY: Final = "***"
SHORTEST_SECRET: Final = 8
"""Shorter keys are words such as `none` and `ollama`, which servers without keys are given."""


def model_problem(of: Settings) -> str | None:
    """Return why the analyser `llm` can't be used with these settings, as one sentence; else `None`."""
    if of.llm_base_url is not None and not _is_address(of.llm_base_url):
        return "llm: PHASELINE_LLM_BASE_URL is no address; say one such as http://127.0.0.1:11434/v1"
    missing = [name for name in ("llm_base_url", "llm_model") if getattr(of, name) is None]
    if missing:
        return f"llm wants {' and '.join(f'PHASELINE_{name.upper()}' for name in missing)}; set them first"
    prices = (of.llm_input_usd_per_mtok, of.llm_output_usd_per_mtok)
    if prices.count(None) == 1 or (of.llm_max_cost_usd is not None and None in prices):
        return (
            "llm can count costs only with both prices of the model; set "
            "PHASELINE_LLM_INPUT_USD_PER_MTOK and PHASELINE_LLM_OUTPUT_USD_PER_MTOK"
        )
    if find_spec("openai") is None:
        return 'llm needs an extra; install it: pip install "phaseline[llm]"'
    return _header_problem(of)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0 and url.isascii()
    except ValueError:
        return False


def _header_problem(of: Settings) -> str | None:
    key = of.llm_api_key.get_secret_value() if of.llm_api_key else ""
    if key.isascii() and key.isprintable() and key == key.strip():
        return None
    return "llm: PHASELINE_LLM_API_KEY has characters that no HTTP header can carry; correct it"


def host_of(base_url: str) -> str:
    """Return the host and port of an address, without user, path and query.

    >>> host_of("https://somebody:secret@llm.example:8080/v1?key=1")
    'llm.example:8080'
    """
    return urlsplit(base_url).netloc.rpartition("@")[2]


def hider(of: Settings) -> Callable[[str], str]:
    """Return what removes the key from a text that a server has sent: an answer is JSON inside JSON."""
    key = of.llm_api_key.get_secret_value() if of.llm_api_key else ""
    plain = spellings(key) if len(key) >= SHORTEST_SECRET else ()
    inside = [json.dumps(form)[1:-1] for form in plain]
    deeper = [json.dumps(form)[1:-1] for form in inside]
    forms = sorted({*plain, *inside, *deeper}, key=len, reverse=True)

    def hide(text: str) -> str:
        for form in forms:
            text = text.replace(form, HIDDEN_KEY)
        return text

    return hide
