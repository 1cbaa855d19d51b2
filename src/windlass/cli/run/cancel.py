"""`windlass run cancel`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.session import Session

_EXAMPLES = """
windlass run cancel 01a20241-74c1
"""


@make(name="cancel", examples=_EXAMPLES)
@click.argument("runs", nargs=-1, required=True, type=RUN, metavar="RUN...")
def command(session: Session, *, runs: tuple[str, ...]) -> None:
    """Ask runs to stop. Clean-up steps still run; a second time stops those too."""
    asked = []
    with session.connect() as client:
        for reference in runs:
            run = client.post("runs", reference, "cancel")
            asked.append(run)
            told = "is cancelled" if run["state"] == "cancelled" else f"is asked to stop, it is still {run['state']}"
            session.out.done(f"Run {run['id']} {told}.")
    if session.out.format != "table":
        session.out.value(asked[0] if len(asked) == 1 else asked, tuple)
