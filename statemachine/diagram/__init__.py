"""The machine as pictures: pure functions from the table's rows to text. Nothing here knows a database.

Each takes the rows, optional labels (state to what people call it) and, but for `markdown`, the position
of one run to light up:

>>> from statemachine.table import edges
>>> print(ascii_art(edges(["work"]), position=Position("work")))
      o start
+---------------+  - - fail, time_out, cancel (rolls back) - -> failed
| [>] work      |  <-- resume -- itself
+---------------+  <-- resume (only where it failed) -- failed
      | advance
      v
+---------------+
| [ ] completed |
+---------------+
<BLANKLINE>
+---------------+
| [ ] failed    |
+---------------+
<BLANKLINE>
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from statemachine.diagram.graph import Position
from statemachine.diagram.handbook import markdown
from statemachine.diagram.notation import dot, mermaid
from statemachine.diagram.picture import svg
from statemachine.diagram.terminal import ascii_art

FORMATS: Final[Mapping[str, Callable[..., str]]] = {
    "mermaid": mermaid,
    "dot": dot,
    "svg": svg,
    "ascii": ascii_art,
}
"""What `phaseline diagram --format` and `?format=` offer; all take `(rows, labels, position)`."""

__all__ = ["FORMATS", "Position", "ascii_art", "dot", "markdown", "mermaid", "svg"]
