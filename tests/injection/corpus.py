"""Attacks of our own making, each with the clean text that it grew from (attacks.ndjson).

`clean` is what an honest writer says. `attack` is what the attacker writes, `{clean}` standing for it; in the
place `body` that is the comment, in any other the text around it, under which the comment stays `clean`.
`{padding}` stands for `fill`, `padding` times.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from phases.analyzers.text import clean as cleaned

FILE: Final = Path(__file__).with_name("attacks.ndjson")
EARLIER: Final = "What do you all think?"
"""The parent, the title and the picture where nobody attacks them."""

_PLACEHOLDER: Final = re.compile(r"\{clean\}|\{padding\}")

Place = Literal["body", "parent", "title", "image"]
Wants = Literal["flip", "endless", "echo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A comment and what stands around it."""

    body: str
    parent: str = EARLIER
    title: str = EARLIER
    image: str = EARLIER


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack."""

    number: int
    technique: str
    place: Place
    clean: str
    attack: str
    padding: int = 0
    fill: str = ""
    fresh: bool = False
    """Written when the rules were done, which were not changed for it."""
    wants: Wants = "flip"
    """What it would have a model do: turn the stance, never end, or repeat what it was sent."""

    @property
    def text(self) -> str:
        """The whole attacking text."""
        return self.attack.replace("{clean}", self.clean).replace("{padding}", self.fill * self.padding)

    def is_legible(self, shown: str) -> bool:
        """Return whether whoever reads `shown` can read any sentence that the attack adds."""
        parts = map(cleaned, _PLACEHOLDER.split(self.attack))
        return any(part and part != self.clean and part in shown for part in parts)

    @property
    def scene(self) -> Scene:
        """The comment and what stands around it, attacked."""
        return replace(self.twin, **{self.place: self.text})

    @property
    def twin(self) -> Scene:
        """The same, where nobody attacks."""
        return Scene(body=self.clean)


@cache
def attacks() -> tuple[Attack, ...]:
    """Return all attacks, in the order of the file."""
    with FILE.open(encoding="utf-8") as lines:
        rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return tuple(Attack(number=number, **row) for number, row in enumerate(rows))
