"""`windlass policy delete`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.documents import delete_documents
from windlass.cli.session import Session


@make(name="delete")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def command(session: Session, *, names: tuple[str, ...]) -> None:
    """Delete policies. What they sent to the archive stays there."""
    delete_documents(session, "policies", names)
