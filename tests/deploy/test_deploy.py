"""What `deploy/` ships: checked by the tools that read it where they are there, by its facts elsewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from api.app import create_app
from api.listening import GRACE_S
from api.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = (DEPLOY / "phaseline.service").read_text(encoding="utf-8")
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
END_S = 60
HADOLINT = shutil.which(
    "hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
)

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="wants systemd-analyze (Debian: systemd)"
)


def unit(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def ran(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **settings}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=END_S, check=False)


@needs_systemd
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    # The program is looked for, so another one stands in for the one that is not installed here.
    path = tmp_path / "phaseline.service"
    path.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT, flags=re.MULTILINE))

    checked = ran("systemd-analyze", "verify", "--man=no", str(path))

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@needs_systemd
def test_systemd_notices_a_key_that_is_misspelt(tmp_path: Path) -> None:
    path = tmp_path / "phaseline.service"
    path.write_text(UNIT.replace("ProtectHome=", "ProtectHouse="))

    assert "ProtectHouse" in ran("systemd-analyze", "verify", "--man=no", str(path)).stderr


@needs_systemd
def test_the_unit_exposes_little() -> None:
    # In tenths of systemd's scale from 0 to 10; 2.0 is well inside what it calls OK.
    checked = ran(
        "systemd-analyze", "security", "--offline=true", "--threshold=20", str(DEPLOY / "phaseline.service")
    )

    assert checked.returncode == 0, checked.stdout


def test_the_unit_waits_longer_than_a_stop_may_take() -> None:
    (stop_s,) = unit("TimeoutStopSec")
    cut_off_s = Settings.model_fields["stop_grace_s"].default

    assert int(stop_s) > GRACE_S + cut_off_s
    assert "PHASELINE_SHUTDOWN=checkpoint" in unit("Environment")


def test_the_unit_is_a_user_of_its_own_that_writes_in_one_place() -> None:
    assert (unit("Type"), unit("DynamicUser"), unit("ProtectSystem")) == (["exec"], ["yes"], ["strict"])
    assert unit("StateDirectory") == ["phaseline"]
    assert unit("WorkingDirectory") == ["%S/phaseline"]
    assert "PHASELINE_DB=%S/phaseline/phaseline.db" in unit("Environment")


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.*")), ids=lambda path: path.name)
def test_every_variable_of_ours_is_a_setting(path: Path) -> None:
    named = re.findall(rf"{PREFIX}([A-Z_]+)", path.read_text(encoding="utf-8")) if path.is_file() else []

    assert {name.lower() for name in named} <= set(Settings.model_fields)


def instructions() -> list[tuple[str, str]]:
    joined = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    pairs = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [(word, rest) for word, rest in pairs]


def said(word: str) -> list[str]:
    return [rest for each, rest in instructions() if each == word]


def test_the_image_runs_as_nobody_in_particular_and_keeps_its_data_in_a_volume() -> None:
    words = [word for word, _ in instructions()]
    last_stage = len(words) - words[::-1].index("FROM")

    assert said("USER") == ["10001"]
    assert words.index("USER") > last_stage
    assert "RUN" not in words[words.index("USER") :]
    assert said("VOLUME") == ['["/data"]']
    assert "PHASELINE_DB=/data/phaseline.db" in said("ENV")[0]
    assert all(re.fullmatch(r"python:3\.\d+-slim( AS build)?", image) for image in said("FROM"))
    assert ("healthcheck.py" in said("HEALTHCHECK")[0], said("CMD"), said("ENTRYPOINT")) == (
        True,
        ['["serve"]'],
        ['["phaseline"]'],
    )


def test_the_image_installs_what_is_locked_and_what_the_ignore_file_lets_in() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copies = [shlex.split(rest) for rest in said("COPY") if "--from" not in rest]
    copied = {part for parts in copies for part in parts[:-1] if not part.startswith("--")}

    assert "--require-hashes --requirement requirements/run.lock" in " ".join(said("RUN"))
    assert ignored[0] == "*"
    assert copied == let_in
    assert [path for path in copied if not (ROOT / path).exists()] == []


@pytest.mark.skipif(
    HADOLINT is None, reason="wants hadolint, which is installed with the tests on x86-64 Linux"
)
def test_hadolint_finds_nothing_wrong_with_the_image() -> None:
    assert HADOLINT
    checked = ran(HADOLINT, str(DEPLOY / "Dockerfile"))

    assert (checked.returncode, checked.stdout) == (0, "")


@contextmanager
def serving(folder: Path, token: str) -> Iterator[str]:
    """Serve in a process of its own; yield the port."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "api.cli", "serve", "--json", "--port", "0", "--lifeline"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PHASELINE_TOKEN": token},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    try:
        yield json.loads(process.stdout.readline())["url"].rpartition(":")[2]
    finally:
        process.communicate("", END_S)


@pytest.mark.slow
def test_the_health_check_tells_a_ready_server_from_one_that_is_gone(tmp_path: Path) -> None:
    check = (sys.executable, str(DEPLOY / "healthcheck.py"))
    with serving(tmp_path, "a-long-word") as port:
        well = ran(*check, PHASELINE_PORT=port, PHASELINE_TOKEN="a-long-word")
        refused = ran(*check, PHASELINE_PORT=port, PHASELINE_TOKEN="another")
    gone = ran(*check, PHASELINE_PORT=port, PHASELINE_TOKEN="a-long-word")

    assert (well.returncode, refused.returncode, gone.returncode) == (0, 1, 1)


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return read


def test_the_example_opens_nothing_to_other_machines_and_mounts_what_exists() -> None:
    services: dict[str, Any] = compose()["services"]

    ports = [port for service in services.values() for port in service["ports"]]
    mounted = [
        volume.split(":")[0]
        for service in services.values()
        for volume in service["volumes"]
        if volume.startswith(".")
    ]

    assert all(port.startswith("127.0.0.1:") for port in ports)
    assert [path for path in mounted if not (DEPLOY / path).exists()] == []
    assert "latest" not in str([service.get("image") for service in services.values()])


def test_prometheus_asks_by_a_name_that_the_server_answers_to() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    (job,) = config["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    environment = compose()["services"]["phaseline"]["environment"]

    assert target.partition(":")[0] in environment["PHASELINE_ALLOWED_HOSTS"].split(",")
    assert job["authorization"]["credentials_file"] == "/run/secrets/phaseline_token"
    assert [name for name in config["rule_files"] if not (DEPLOY / "prometheus" / name).exists()] == []


def queries() -> dict[str, str]:
    dashboard = json.loads((DEPLOY / "grafana/dashboards/phaseline.json").read_text(encoding="utf-8"))
    alerts = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text(encoding="utf-8"))
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    panels = {panel["title"]: panel["targets"][0]["expr"] for panel in dashboard["panels"]}
    return panels | {rule["alert"]: rule["expr"] for rule in rules}


def test_dashboard_and_alerts_ask_only_for_what_the_server_tells(tmp_path: Path) -> None:
    app = create_app(Settings(db=tmp_path / "runs.db"))
    with TestClient(app) as client:
        text = client.get("/metrics").text
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    told = {
        name + ending
        for name, kind in kinds.items()
        for ending in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))
    }

    asked = {name for query in queries().values() for name in re.findall(r"phaseline_\w+", query)}
    counted = [
        name for query in queries().values() for name in re.findall(r"increase\((phaseline_\w+)", query)
    ]

    assert asked <= told
    assert {name for name in told if name != "phaseline_build_info"} == asked
    assert all(name.endswith(("_total", "_bucket", "_sum", "_count")) for name in counted)


def test_the_dashboard_reads_from_the_source_that_is_provisioned() -> None:
    dashboard = json.loads((DEPLOY / "grafana/dashboards/phaseline.json").read_text(encoding="utf-8"))
    source = DEPLOY / "grafana/provisioning/datasources/prometheus.yaml"
    provider = DEPLOY / "grafana/provisioning/dashboards/phaseline.yaml"
    (known,) = yaml.safe_load(source.read_text(encoding="utf-8"))["datasources"]
    (from_,) = yaml.safe_load(provider.read_text(encoding="utf-8"))["providers"]
    mounts = [volume.split(":")[1] for volume in compose()["services"]["grafana"]["volumes"]]

    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {known["uid"]}
    assert from_["options"]["path"] in mounts
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
