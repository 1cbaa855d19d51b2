"""`windlass job disable`."""

from __future__ import annotations

from windlass.cli.command import Command
from windlass.cli.job.enabling import enabling

command: Command = enabling(
    "disable",
    "Let jobs not be started, until they are enabled again.\n\nRuns that were accepted before go on to their end.",
)
