"""What leaves a failure: no secret, nothing unprintable, no more than fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.redaction import capped, redactor

SECRETS = st.text("abcXYZ0189_-", min_size=6, max_size=30)


@given(st.lists(SECRETS, min_size=1, max_size=3), st.text(), st.text())
def test_a_known_secret_never_comes_through(secrets: list[str], before: str, after: str) -> None:
    redact = redactor(secrets)

    for secret in secrets:
        assert secret not in redact(before + secret + after).replace("***", "\0")


@given(SECRETS)
def test_what_looks_like_a_secret_is_hidden_wherever_it_stands(secret: str) -> None:
    redact = redactor()
    for text in (
        f"Authorization: Bearer {secret}",
        f"authorization: basic {secret}==",
        f"https://x.example/path?api_key={secret}&n=1",
        f"https://x.example/?a=1&access_token={secret}#end",
        f"https://x.example/?a=1;client_secret={secret}",
        f'{{"api_key": "{secret}"}}',
        f"client-secret: {secret}",
        f"password={secret}",
        f"TOKEN = '{secret}'",
        f"postgres://user:{secret}@host/db",
        f"key sk-{secret}1234",
    ):
        assert secret not in redact(text), text


@pytest.mark.parametrize(
    "text",
    [
        "no such ticker: GME",
        "the token is missing",
        "https://x.example/r/wallstreetbets?limit=100&after=t3_abc",
        "12:30:45 at http://127.0.0.1:8000/runs",
        "a tab\tand\na line",
        "🚀 ä ß 中",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str) -> None:
    assert redactor(["hunter2"])(text) == text


@pytest.mark.parametrize(
    "text",
    [
        '{"refresh_token": "SECRET123"}',
        "access_token=SECRET123",
        "secret=SECRET123",
        "X-APP-SECRET-KEY: SECRET123",
        "Cookie: session-SECRET123",
        "'Authorization': 'token SECRET123'",
        "Authorization: SECRET123",
        r"KeyError('line\npassword: SECRET123')",
    ],
)
def test_what_looks_like_a_secret_is_hidden_in_every_spelling(text: str) -> None:
    assert "SECRET123" not in redactor()(text)


def test_the_longest_secret_is_hidden_whole() -> None:
    assert redactor(["abc", "abcdef"])("abcdef abc") == "*** ***"
    assert redactor(["xyz", "an xyz"])("an xyz") == "***"


def test_no_secrets_hide_nothing() -> None:
    assert redactor(["", ""])("text") == "text"


@given(st.text(st.characters(categories=["Cc", "Cs"])))
def test_unprintable_characters_become_one_that_is_not(text: str) -> None:
    assert set(redactor()(text)) <= {"\ufffd", "\t", "\n"}


@given(st.text(), st.integers(min_value=40, max_value=200))
def test_a_text_is_capped_to_its_limit_and_keeps_both_ends(text: str, limit: int) -> None:
    cut = capped(text * 10, limit)

    assert len(cut) <= limit
    assert (cut == text * 10) == (len(text) * 10 <= limit)
    if len(text) * 10 > limit:
        assert (text * 10).startswith(cut.split("\n[...]\n")[0])
        assert (text * 10).endswith(cut[-5:])


def test_adversarial_texts_take_linear_time() -> None:
    """Each of these would take hours if a pattern went back over it."""
    for text in (
        "bearer " * 30_000,
        "://" + "a:" * 100_000,
        "?key=" * 50_000,
        "password" + "'" * 200_000,
        "sk-" * 90_000,
        "secret" * 50_000,
        "authorization:" * 20_000,
    ):
        redactor()(text)
