"""Processes started, read and reaped by the supervisor."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.entry import Entry, versions
from bench.settings import PATIENCE, PROCESSES


def measure(_: str, rounds: int) -> Entry:
    """Run the bench of the supervisor, which measures the standard ways beside it."""
    program = Path(__file__).parents[1] / "spawn.py"
    options = ["--json", "--rounds", str(rounds), "--count", str(PROCESSES["count"])]
    ended = subprocess.run(  # noqa: S603 - our own program; its exit code says whether the aim was met
        [sys.executable, str(program), *options], stdout=subprocess.PIPE, timeout=PATIENCE, check=False
    )
    (found,) = json.loads(ended.stdout)
    return Entry(**{**found, "versions": {**found["versions"], **versions()}})
