"""Write a made-up archive of any size: `make_archive.py OUT --comments 1000000 [--seed 7]`.

Posts come first, then comments in order of time, over the 24 hours before `AS_OF`. The same arguments give
the same objects in every process and version of Python 3. The suffix of OUT chooses plain, `.gz` or `.zst`.
"""

from __future__ import annotations

import argparse
import gzip
import io
import random  # noqa: TID251 - a benchmark's chance is its seed
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import zstandard

AS_OF = datetime(2025, 3, 12, 18, 0, tzinfo=UTC)
DAY_S = 86_400
COMMENTS_PER_POST = 1_000
TICKERS = ("GME", "NVDA", "TSLA", "AMD", "PLTR", "SPY", "AAPL", "AMC", "SOFI", "QQQ", "INTC", "COIN")
OPENERS = (
    "Loaded up on ${0} calls because the last earnings beat was no accident",
    "{0} puts printing, the whole chart is a staircase down",
    "can somebody explain why {1} moves every time {0} sneezes",
    "I sold {0} at the bottom again, that is my entire strategy",
    "{0} to the moon 🚀🚀 my wife's boyfriend agrees",
    "revenue growth of {0} doesn't justify that multiple, I stay short",
    "holding {0} shares since the split, not selling before {2}",
)
FILLERS = (
    "and the volume confirms it",
    "but what do I know, I eat crayons",
    "theta is eating me alive though",
    "position or ban",
    "the fed will ruin it anyway",
    "this is not financial advice",
    "IV is so high that even being right loses money",
    "lol",
)


def posts(count: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    start = int(AS_OF.timestamp()) - DAY_S
    for number in range(count):
        yield {
            "author": f"op_{number}",
            "created_utc": start + number % 3_600,
            "id": f"p{number:x}",
            "num_comments": COMMENTS_PER_POST,
            "retrieved_on": start + DAY_S,
            "score": chance.randrange(20_000),
            "selftext": "",
            "subreddit": "wallstreetbets",
            "title": f"What is going on with {chance.choice(TICKERS)}, part {number}",
            "url": f"https://www.reddit.com/r/wallstreetbets/comments/p{number:x}/",
        }


def comments(count: int, post_count: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    start = int(AS_OF.timestamp()) - DAY_S + 3_600
    for number in range(count):
        post = number % post_count
        above = number - post_count * chance.randrange(1, 30)
        is_reply = above >= 0 and chance.random() < 0.6
        gone = chance.random() < 0.04
        created = start + number * (DAY_S - 3_600) // count
        yield {
            "author": "[deleted]" if gone else f"user_{int(chance.expovariate(1) * count / 20)}",
            "body": "[deleted]" if gone else body(chance),
            "controversiality": 0,
            "created_utc": created,
            "distinguished": None,
            "edited": False,
            "gilded": 0,
            "id": f"c{number:x}",
            "is_submitter": False,
            "link_id": f"t3_p{post:x}",
            "parent_id": f"t1_c{above:x}" if is_reply else f"t3_p{post:x}",
            "permalink": f"/r/wallstreetbets/comments/p{post:x}/what_is_going_on/c{number:x}/",
            "retrieved_on": created + 60,
            "score": int(chance.expovariate(0.2)) - 2,
            "stickied": False,
            "subreddit": "wallstreetbets",
            "subreddit_id": "t5_2th52",
        }


def body(chance: random.Random) -> str:
    opener = chance.choice(OPENERS).format(*chance.sample(TICKERS, 2), chance.randrange(2026, 2031))
    return ", ".join([opener, *chance.sample(FILLERS, chance.randrange(5))])


def open_archive(path: Path) -> io.BufferedIOBase:
    if path.suffix == ".gz":
        return gzip.GzipFile(path, "wb", compresslevel=6, mtime=0)
    if path.suffix == ".zst":
        return zstandard.ZstdCompressor(level=3).stream_writer(path.open("wb"))
    return path.open("wb")


def make_archive(path: Path, *, comment_count: int, seed: int) -> None:
    chance = random.Random(seed)
    post_count = max(10, comment_count // COMMENTS_PER_POST)
    with closing(open_archive(path)) as out:
        for row in posts(post_count, chance):
            out.write(orjson.dumps(row) + b"\n")
        for row in comments(comment_count, post_count, chance):
            out.write(orjson.dumps(row) + b"\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--comments", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    make_archive(arguments.out, comment_count=arguments.comments, seed=arguments.seed)


if __name__ == "__main__":
    main()
