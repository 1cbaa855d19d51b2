"""`windlass secret get`."""

from __future__ import annotations

import click

from windlass.cli.command import make
from windlass.cli.output import detail_lines
from windlass.cli.session import Session
from windlass.cli.text import local_time, plain


@make(name="get")
@click.argument("name")
def command(session: Session, *, name: str) -> None:
    """Show what is known of a secret. Its value is shown to nobody: steps are given it."""
    with session.connect() as client:
        found = client.get("secrets", name, project=session.project)
    session.out.value(
        found,
        lambda: detail_lines(
            [
                ("secret", found["name"]),
                ("project", found["project"]),
                ("reference", found["reference"]),
                ("version", str(found["version"])),
                ("note", plain(found["note"])),
                ("made", local_time(found["createdAt"])),
                ("set", f"{local_time(found['updatedAt'])} by {plain(found['updatedBy'])}"),
            ]
        ),
    )
