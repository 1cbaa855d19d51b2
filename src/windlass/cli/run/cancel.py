"""`windlass run cancel`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.session import Session
from windlass.cli.several import found
from windlass.cli.watch.streams import nobody_moves

_EXAMPLES = """
windlass run cancel 01a20241-74c1
"""


@make(name="cancel", examples=_EXAMPLES)
@click.argument("runs", nargs=-1, required=True, type=RUN, metavar="RUN...")
def command(session: Session, *, runs: tuple[str, ...]) -> None:
    """Ask runs to stop. Clean-up steps still run; a second time stops those too."""
    asked = []
    with session.connect() as client:
        for one in found(client, "runs", runs):
            run = client.post("runs", one["id"], "cancel")
            again = run.pop("again")
            asked.append(run)
            session.out.done(f"Run {run['id']} {_told(run['state'], again=again)}.")
        nobody = nobody_moves(client) if any(run["state"] != "cancelled" for run in asked) else ""
        if nobody:
            session.out.note(f"{nobody.removesuffix('.')}; what is left of them ends then.")
    if session.out.format != "table":
        session.out.value(asked[0] if len(asked) == 1 else asked, tuple)


def _told(state: str, *, again: bool) -> str:
    if state == "cancelled":
        return "is cancelled"
    if again:
        return f"was asked before: its clean-up steps are stopped too now, it is still {state}"
    return f"is asked to stop, it is still {state}; asked once more, its clean-up steps are stopped too"
