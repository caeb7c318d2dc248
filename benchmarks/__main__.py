"""`python -m benchmarks`: measure everything, print the table and keep it in `docs/performance.md`.

With names, only those benchmarks run and the document stays as it is. The databases go to a new folder inside
`--folder`: name one on the disk that matters, for a folder in memory syncs for nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import (
    accept,
    boundary,
    disk,
    growth,
    guard,
    report,
    responsiveness,
    startup,
    status,
    syncs,
    web,
)
from benchmarks.rounds import ROUNDS, Figure

BENCHMARKS = {
    "boundary": boundary.figures,
    "syncs": syncs.figures,
    "disk": disk.figures,
    "growth": growth.figures,
    "accept": accept.figures,
    "status": status.figures,
    "web": web.figures,
    "responsiveness": responsiveness.figures,
    "startup": startup.figures,
    "guard": guard.figures,
}
DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of each (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where databases go")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    figures: list[Figure] = []
    print(report.HEAD, end="")
    with tempfile.TemporaryDirectory(prefix="phaseline-", dir=asked.folder) as place:
        for name in asked.names or BENCHMARKS:
            folder = Path(place, name)
            folder.mkdir()
            for figure in BENCHMARKS[name](folder, asked.rounds):
                print(report.row(figure), flush=True)
                figures.append(figure)
        facts = report.machine(Path(place))
    print(f"\n{facts}")
    if not asked.names:
        report.keep(DOCUMENT, figures, facts)


if __name__ == "__main__":
    main()
