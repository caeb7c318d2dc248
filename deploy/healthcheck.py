"""Ask the server beside us whether it takes work; any other answer than yes raises, and so ends with 1."""

from __future__ import annotations

import os
from typing import Final
from urllib.request import Request, urlopen

TIMEOUT_S: Final = 4.0


def main() -> None:
    """Ask `/readyz` of this machine."""
    url = f"http://127.0.0.1:{os.environ.get('PHASELINE_PORT') or 8000}/readyz"
    token = os.environ.get("PHASELINE_TOKEN", "")
    request = Request(url, headers={"Authorization": f"Bearer {token}"})
    with urlopen(request, timeout=TIMEOUT_S):  # noqa: S310  # our own address
        pass


if __name__ == "__main__":
    main()
