"""A process that takes over an interrupted run, and says at which instant its phase began."""

import sys
import time
from contextlib import closing
from pathlib import Path

from benchmarks.engine import SCHEMA, pipeline
from statemachine.runner import Runner

registry = pipeline(1, lambda _conn, _ctx: print(time.monotonic()))
with closing(Runner(Path(sys.argv[1]), registry, schema=SCHEMA)) as runner:
    runner.recover()
    runner.wait()
