"""The headers that every answer carries."""

from __future__ import annotations

from typing import Final

SECURITY_HEADERS: Final = {
    "content-security-policy": "default-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""A route may say another value of one."""
