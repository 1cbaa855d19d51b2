"""`windlass template delete`."""

from __future__ import annotations

from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.session import Session


@make(name="delete")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def command(session: Session, *, names: tuple[str, ...]) -> None:
    """Delete templates. Jobs that were made from them stay as they are."""
    deleted: list[dict[str, Any]] = []
    with session.connect() as client:
        for name in names:
            deleted.append(client.delete("templates", name, project=session.project))
            session.out.done(f"Deleted {name}.")
    if session.out.format != "table":
        session.out.value(deleted, tuple)
