"""Write the software bill of materials: each locked package with its hashes, as CycloneDX 1.6 JSON.

It is made from `requirements/run.lock` alone, so the same lock gives the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parent.parent
_PIN: Final = re.compile(r"(?P<name>[a-z0-9._-]+)==(?P<version>[^\s;]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill() -> dict[str, Any]:
    """Return the bill of this version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (ROOT / "requirements" / "run.lock").read_text(encoding="utf-8")
    itself = _component("application", project["name"], project["version"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**itself, "licenses": [{"license": {"id": project["license"]}}]}},
        "components": list(_locked(lock)),
    }


def _locked(lock: str) -> Iterator[dict[str, Any]]:
    for entry in re.split(r"\n(?=\S)", lock.strip()):
        pin = _PIN.match(entry)
        if pin is None:
            raise SystemExit(f"this is no pin: {entry[:80]!r}; make the lock again with `make lock`")
        # A package has one hash for each file that it is published as; one of them is what gets installed.
        component = _component("library", pin["name"], pin["version"])
        files = [_file(component["purl"], digest) for digest in _HASH.findall(entry)]
        yield {**component, "externalReferences": files}


def _component(kind: str, name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _file(purl: str, digest: str) -> dict[str, Any]:
    return {"type": "distribution", "url": purl, "hashes": [{"alg": "SHA-256", "content": digest}]}


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(bill(), indent=2) + "\n", encoding="utf-8")
