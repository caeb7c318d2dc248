"""`phaseline serve`: the application on its socket, ending well."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from typing import Final

from api.app import create_app
from api.listening import answer, listening
from api.services import Services
from api.settings import Settings

SWITCH_S: Final = 0.0005
"""How long a phase that computes may keep the interpreter lock when a request wants it.

A request needs the lock two or three times and waits so long for it each time; Python's own 5 ms would make
it ten times slower than while nothing computes. `benchmarks/responsiveness.py` measures it.
"""


def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until a signal; `announce` is told the URL once requests are answered.

    Raises:
        SettingsError, DatabaseUnusable, AddressUnusable: Before anything is served.
    """
    sys.setswitchinterval(SWITCH_S)
    app = create_app(settings)
    services: Services = app.state.services
    with listening(
        settings.host, settings.port
    ) as listener:  # first: who can't listen takes nobody's run over
        runner = services.runner  # opened here, so that what is wrong is raised and not only logged
        answer(app, listener, announce)
    if runner.readiness()["abandoned_threads"]:
        logging.shutdown()
        os._exit(0)  # what is stuck for ever would keep the interpreter from ending
