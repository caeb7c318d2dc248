"""One object of Reddit's made into a post, a comment, or the reason why it is neither.

Understands the objects of Pushshift, of Arctic Shift and of Reddit itself, whose types vary over the years:
`created_utc` comes as int, float or text, `score` may be null, `edited` is false, true or an instant, and ids
have prefixes or not. What may not be known at `as_of` is not looked at:

- A score or a count of comments is as of its retrieval, so it is used only where that was by `as_of`;
  a later sight of the same thing does not make an earlier one unseen.
  Arctic Shift retrieves twice and keeps the second score, with `_meta.retrieved_2nd_on`.
- A text edited after `as_of` is not the text of `as_of`. A post keeps its title, which nobody can edit.

One thing is taken from the future on purpose: a text that is known to be deleted stays deleted.

Bots keep their place in the tree, without author and text: they are nobody's opinion.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import urlsplit

import orjson

from phases.tools import Comment, Post, Skipped

MAX_TEXT_CHARS: Final = 40_000
"""Reddit's own limit for a post; a comment's is 10,000."""
MAX_URL_CHARS: Final = 2_000
MAX_SCORE: Final = 2**31 - 1
LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999, the last that `datetime` can say."""

_ID: Final = re.compile(r"(?:t[13]_)?([0-9A-Za-z_-]{1,20})", re.ASCII)
_GONE: Final = frozenset(
    {"", "[deleted]", "[removed]", "[deleted by user]", "[removed by reddit]", "[ removed by reddit ]"}
)
LONGEST_GONE: Final = max(map(len, _GONE))
_BOTS: Final = frozenset({"automoderator", "visualmod", "wsbapp", "wsbvotebot", "remindditbot", "savevideo"})
_BOT_ENDINGS: Final = ("_bot", "-bot", "Bot", "BOT")  # a person may well be called abbot or talbot
_ENTITY: Final = re.compile(r"&(?:amp|lt|gt);")
_IMAGE_HOSTS: Final = frozenset({"i.redd.it", "preview.redd.it", "imgur.com", "i.imgur.com"})
_SEEN: Final = ("retrieved_on", "retrieved_utc", "updated_on", "updated_utc")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a reader is after."""

    subreddit: str
    """In lower case."""
    as_of_s: float
    """Seconds of the epoch."""


class _Unusable(Exception):
    """The row can't be used; the only argument is the reason."""


def read_record(line: bytes, wanted: Wanted) -> Post | Comment | Skipped:
    """Return what one line holds; never raises, whatever the line is."""
    if not line.strip():
        return Skipped(reason="blank_line")
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError:
        return Skipped(reason="bad_json")
    return read_object(parsed, wanted)


def read_object(parsed: object, wanted: Wanted) -> Post | Comment | Skipped:
    """Return what one parsed object is; never raises, whatever it is."""
    try:
        return _record(parsed, wanted)
    except _Unusable as reason:
        return Skipped(reason=str(reason))


def is_object(line: bytes) -> bool:
    """Return whether a line is a JSON object, of whatever kind."""
    try:
        return isinstance(orjson.loads(line), dict)
    except orjson.JSONDecodeError:
        return False


def _record(parsed: object, wanted: Wanted) -> Post | Comment:
    if not isinstance(parsed, dict):
        raise _Unusable("not_an_object")
    row = cast("Row", parsed)
    if not _is_from(row, wanted.subreddit):
        raise _Unusable("other_subreddit")
    return _builder(row)(row, wanted)


def _is_from(row: Row, subreddit: str) -> bool:
    """Return whether the row may be of `subreddit`; a dump of a single one need not name it."""
    named = row.get("subreddit")
    return named is None or (isinstance(named, str) and named.lower() == subreddit)


def _builder(row: Row) -> Callable[[Row, Wanted], Post | Comment]:
    if "body" in row and "link_id" in row:
        return _comment
    if "title" in row:
        return _post
    raise _Unusable("unknown_shape")


def _comment(row: Row, wanted: Wanted) -> Comment:
    reddit_id, created = _id(row.get("id"), "id"), _created(row, wanted)
    if _edited_later(row, wanted):
        raise _Unusable("edited_later")
    author, body = _author(row), _body(row)
    if _is_bot(author):
        author = body = None
    post_id = _id(row.get("link_id"), "post_id")
    return Comment(
        reddit_id=reddit_id,
        post_id=post_id,
        parent_id=_parent(row.get("parent_id"), {reddit_id, post_id}),
        author=author,
        body=body,
        created_utc=created,
        score=_count(row, "score", wanted),
    )


def _post(row: Row, wanted: Wanted) -> Post:
    author, answers = _author(row), _count(row, "num_comments", wanted)
    return Post(
        reddit_id=_id(row.get("id"), "id"),
        title=_text(row.get("title")) or "",
        selftext=None if _edited_later(row, wanted) else _kept(row, row.get("selftext")) or "",
        author=None if _is_bot(author) else author,
        created_utc=_created(row, wanted),
        score=_count(row, "score", wanted),
        comment_count=None if answers is None else max(0, answers),
        image_url=_image_url(row.get("url")),
    )


def _id(value: object, name: str) -> str:
    if value is None or value == "":
        raise _Unusable(f"missing_{name}")
    match = _ID.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _Unusable(f"bad_{name}")
    return match[1]


def _parent(value: object, not_a_parent: set[str]) -> str | None:
    """Return the parent comment's id; a post is none, and nobody answers themselves."""
    match = _ID.fullmatch(value) if isinstance(value, str) and not value.startswith("t3_") else None
    return match[1] if match and match[1] not in not_a_parent else None


def _created(row: Row, wanted: Wanted) -> datetime:
    seconds = _number(row.get("created_utc"))
    if seconds is None or not 0 <= seconds <= LAST_SECOND:
        raise _Unusable("bad_created_utc")
    if seconds > wanted.as_of_s:
        raise _Unusable("later_than_as_of")
    return datetime.fromtimestamp(int(seconds), UTC)


def _number(value: object) -> float | None:
    """Return a finite number that came as number or text; `True` is none."""
    if type(value) is int:  # the usual case, and the only one worth being quick about
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value[:32] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _seen_by_as_of(row: Row, wanted: Wanted) -> bool:
    """Return whether the archive took all of this row by `as_of`."""
    is_told = False
    for stamp in (*map(row.get, _SEEN), _meta(row).get("retrieved_2nd_on")):
        if stamp is None:
            continue
        at = _number(stamp)
        if at is None or at > wanted.as_of_s:
            return False
        is_told = True
    return is_told


def _count(row: Row, key: str, wanted: Wanted) -> int | None:
    number = _number(row.get(key))
    if number is None or abs(number) > MAX_SCORE:
        return None
    return int(number) if _seen_by_as_of(row, wanted) else None


def _edited_later(row: Row, wanted: Wanted) -> bool:
    """Return whether the text may have been edited after `as_of`; a bare `true` doesn't say when."""
    edited = row.get("edited")
    if not edited:
        return False
    if edited is True:
        return not _seen_by_as_of(row, wanted)
    at = _number(edited)
    return at is not None and at > wanted.as_of_s


def _author(row: Row) -> str | None:
    name = row.get("author")
    if not isinstance(name, str) or _says_gone(name):
        return None
    return name.replace("\0", "").strip()[:64] or None


def _is_bot(author: str | None) -> bool:
    return author is not None and (author.endswith(_BOT_ENDINGS) or author.lower() in _BOTS)


def _body(row: Row) -> str | None:
    body = row["body"]
    if body is not None and not isinstance(body, str):
        raise _Unusable("bad_body")
    return _kept(row, body)


def _kept(row: Row, text: object) -> str | None:
    """Return the text, unless Arctic Shift knows that it was deleted after it was archived."""
    return None if _meta(row).get("was_deleted_later") else _text(text)


def _meta(row: Row) -> Row:
    meta = row.get("_meta")
    return cast("Row", meta) if isinstance(meta, dict) else {}


def _text(value: object) -> str | None:
    """Return text as a person saw it; `None` where it was deleted.

    Reddit writes `<`, `>` and `&` as entities, and only these. A NUL would end the text for SQLite.
    """
    if not isinstance(value, str) or _says_gone(value):
        return None
    shown = value[:MAX_TEXT_CHARS].replace("\0", "\ufffd")
    return _ENTITY.sub(lambda match: html.unescape(match[0]), shown) if "&" in shown else shown


def _says_gone(text: str) -> bool:
    said = text.strip()
    return len(said) <= LONGEST_GONE and said.lower() in _GONE


def _image_url(value: object) -> str | None:
    """Return an https address of one of Reddit's image hosts, else `None`."""
    if not isinstance(value, str) or len(value) > MAX_URL_CHARS or not value.isprintable():
        return None
    try:
        parts = urlsplit(value)
    except ValueError:
        return None
    return value if parts.scheme == "https" and parts.netloc.lower() in _IMAGE_HOSTS else None
