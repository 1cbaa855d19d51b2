"""`windlass job enable`."""

from __future__ import annotations

from windlass.cli.command import Command
from windlass.cli.job.enabling import enabling

command: Command = enabling(
    "enable", "Let jobs be started again.\n\nWhat was refused while they were disabled is not made up for."
)
