"""`windlass secret delete`."""

from __future__ import annotations

from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.several import found as found_all


@make(name="delete")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def command(session: Session, *, names: tuple[str, ...]) -> None:
    """Forget secrets. Steps that name one of them fail from then on."""
    deleted: list[dict[str, Any]] = []
    with session.connect() as client:
        for one in found_all(client, "secrets", names, project=session.project):
            deleted.append(client.delete("secrets", one["name"], project=session.project))
            session.out.done(f"Deleted {one['name']}.")
    if session.out.format != "table":
        session.out.value(deleted, tuple)
