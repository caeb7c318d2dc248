"""The bill of materials names what the lock pins, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_bill_names_every_locked_package_with_its_hashes_and_is_always_the_same(tmp_path: Path) -> None:
    for name in ("new/one.json", "two.json"):
        subprocess.run([sys.executable, ROOT / "tools" / "sbom.py", tmp_path / name], check=True)
    lock = (ROOT / "requirements" / "run.lock").read_text(encoding="utf-8")

    bill = json.loads((tmp_path / "two.json").read_bytes())

    assert (tmp_path / "new/one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    named = {f"{each['name']}=={each['version']}" for each in bill["components"]}
    assert named == set(re.findall(r"^[a-z0-9._-]+==[^\s;]+", lock, re.MULTILINE))
    hashes = {
        digest["content"]
        for each in bill["components"]
        for file in each["externalReferences"]
        for digest in file["hashes"]
    }
    assert hashes == set(re.findall(r"sha256:([0-9a-f]{64})", lock))
    references = [each["bom-ref"] for each in (bill["metadata"]["component"], *bill["components"])]
    assert len(references) == len(set(references))
