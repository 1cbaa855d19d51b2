"""The composition root: the only place that builds objects of all bands and joins them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from windlass.model.catalog import StepCatalog


class WindlassProgram:
    """Builds what commands ask for; see `windlass.cli.program.Program`."""

    def version(self) -> str:
        """Return the version of Windlass."""
        from importlib.metadata import version  # noqa: PLC0415 - start-up is counted in milliseconds

        return version("windlass")

    def catalog(self) -> StepCatalog:
        """Return every step type that is known here."""
        from windlass.steps.registry import StepTypes  # noqa: PLC0415 - start-up is counted in milliseconds

        return StepTypes().catalog()


def main() -> None:
    """Run the command line and end the process with its exit code."""
    from windlass.cli.main import run  # noqa: PLC0415 - start-up is counted in milliseconds

    sys.exit(run(sys.argv[1:], WindlassProgram()))
