"""The model analyser: any OpenAI-compatible server, one comment a call, five calls at a time.

What a model says is data from a stranger who has read another stranger's text. So it has no tools and no
memory, sees one comment a call, answers in a closed form, and names no ticker that the comment doesn't. What
is not understood gets a name (`outcomes.py`), one repair, and then no annotation at all: the embedded
analyser answers instead, under its own name.

From the outside in: `analyzer` (groups of five, budget, verdict) -> `asking` (one comment: call, repair,
waits) -> `wire` (the official client; the only module that imports it) and `prompt`, `reply`, `answer`,
`pricing` (pure functions).
"""
