"""The pipeline: from a subreddit to paper trades. One line a phase, in order."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from phases.analyze_comments import analyze_comments
from phases.detect_signals import detect_signals
from phases.fetch_reddit import fetch_reddit
from phases.manage_positions import manage_positions
from phases.monitor_prices import monitor_prices
from phases.post_analysis import update_author_trust
from phases.prioritize_comments import prioritize_comments
from statemachine.contract import Phase

PHASES: Final = [
    Phase(1, "Fetching Reddit", fetch_reddit),
    Phase(2, "Prioritizing comments", prioritize_comments),
    Phase(3, "Analyzing comments", analyze_comments),
    Phase(4, "Detecting signals", detect_signals),
    Phase(5, "Managing positions", manage_positions),
    Phase(6, "Monitoring prices", monitor_prices),
    Phase(7, "Updating author trust", update_author_trust),
]

SCHEMA: Final = [files("phases").joinpath("schema.sql").read_text(encoding="utf-8")]
"""Versions of the tables that these phases write, oldest first; a released one is never changed."""
