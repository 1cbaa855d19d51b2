"""`windlass version`."""

from __future__ import annotations

import platform

from windlass.cli.command import make
from windlass.cli.session import Session


@make(name="version")
def command(session: Session) -> None:
    """Print the version."""
    version = session.program.version()
    session.out.value(
        {"version": version, "python": platform.python_version()},
        lambda: [f"windlass {version}"],
    )
