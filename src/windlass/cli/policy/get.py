"""`windlass policy get`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.documents import show_document
from windlass.cli.session import Session


@make(name="get")
@click.argument("name")
def command(session: Session, *, name: str) -> None:
    """Show a policy."""
    show_document(session, "policies", name, noun="policy", content=lambda policy: policy["spec"])
