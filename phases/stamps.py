"""How an instant is written into a row, and read back: the one format of the whole database."""

from __future__ import annotations

from datetime import UTC, datetime


def stamp(at: datetime) -> str:
    """Return an instant as ISO 8601 UTC with milliseconds and `Z`; such texts sort like the instants.

    >>> stamp(datetime(2020, 12, 1, 18, tzinfo=UTC))
    '2020-12-01T18:00:00.000Z'
    """
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(text: str) -> datetime:
    """Return the aware UTC instant that a row holds.

    >>> instant("2020-12-01T18:00:00.000Z")
    datetime.datetime(2020, 12, 1, 18, 0, tzinfo=datetime.timezone.utc)
    """
    return datetime.fromisoformat(text).astimezone(UTC)
