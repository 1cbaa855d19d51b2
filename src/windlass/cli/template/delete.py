"""`windlass template delete`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.documents import delete_documents
from windlass.cli.session import Session


@make(name="delete")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def command(session: Session, *, names: tuple[str, ...]) -> None:
    """Delete templates. Jobs that were made from them stay as they are."""
    delete_documents(session, "templates", names)
