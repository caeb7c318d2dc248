"""What comments can make a run cost: never more than its cap, and no more a call than its limits."""

from __future__ import annotations

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from phases.analyzers.llm.pricing import most_nano_usd
from phases.analyzers.llm.prompt import MAX_BODY_CHARS, MAX_IMAGE_CHARS, MAX_PARENT_CHARS, MAX_TITLE_CHARS
from phases.analyzers.llm.prompt import build_prompt as build
from phases.tools import Excerpt
from tests.injection.corpus import attacks
from tests.injection.world import verdicts
from tests.models.asking import PRICES, analyzer
from tests.models.characters import NEUTRAL, answered
from tests.models.server import Request, Response, model_server

CAP_NANO_USD: Final = 50_000_000


def _repeated(piece: str, times: int) -> str:
    return piece * times


texts = st.builds(
    _repeated,
    st.text(alphabet=st.characters(exclude_categories=()), min_size=1, max_size=20)
    | st.sampled_from(["\ufdfa", "\U0001f680", "&amp;", "\u0301"])
    | st.sampled_from([each.text for each in attacks()]),
    st.integers(1, 3_000),
)


def greedy(request: Request) -> Response:
    """Come to no end with every third request, and charge all that was allowed for each."""
    most: int = request.body["max_tokens"]
    usage = {"prompt_tokens": len(request.shown), "completion_tokens": most, "total_tokens": 0}
    if request.number % 3:
        return answered(NEUTRAL, usage=usage)
    return answered("moon " * most, finish="length", usage=usage)


@settings(max_examples=25, deadline=None)
@given(texts, texts, texts)
def test_no_text_makes_one_comment_cost_more_than_the_longest_texts_do(
    body: str, parent: str, title: str
) -> None:
    most = Excerpt(
        body="\U0001f680" * MAX_BODY_CHARS,
        parents=("\U0001f680" * MAX_PARENT_CHARS,) * 5,
        post_title="\U0001f680" * MAX_TITLE_CHARS,
        image_description="\U0001f680" * MAX_IMAGE_CHARS,
    )
    its = Excerpt(body=body, parents=(parent,) * 5, post_title=title, image_description=parent)

    costs = [most_nano_usd(build(each, model="m-1", fence=str), PRICES, 500) for each in (its, most)]

    # Marks that JSON escapes, such as quotes, take two bytes: still fewer than a rocket's four.
    assert costs[0] <= costs[1]


def test_a_run_full_of_texts_that_ask_for_endless_answers_stays_below_its_cap() -> None:
    scenes = [each.scene for each in attacks()]

    with model_server(greedy) as server:
        found = verdicts(
            analyzer(server, prices=PRICES, max_cost_nano_usd=CAP_NANO_USD, max_output_tokens=2_000), scenes
        )

    limits = [request.body["max_tokens"] for request in server.requests]
    spent = sum(
        PRICES.input_usd_per_mtok * len(request.shown) + PRICES.output_usd_per_mtok * most
        for request, most in zip(server.requests, limits, strict=True)
    )
    assert 0 < spent * 1_000 <= CAP_NANO_USD
    assert set(limits) <= {2_000, 4_000}
    assert len(found) == len(scenes), "the embedded analyser has answered the rest"
