"""Write the OpenAPI document of the API to docs/openapi.json; with `--check`, say whether it is fresh."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from api.app import create_app
from api.settings import Settings

TARGET: Final = Path(__file__).parent.parent / "docs" / "openapi.json"


def document() -> str:
    """Return the document as it is to be kept, whatever version is installed."""
    described = create_app(Settings()).openapi()
    described["info"].pop("version")
    return json.dumps(described, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Read the command line; return 1 where the kept document is stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if not parser.parse_args().check:
        TARGET.write_text(document(), encoding="utf-8")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == document():
        return 0
    sys.stderr.write(
        "docs/openapi.json is stale: run `python tools/openapi.py`, then `npm run types` in ui/\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
