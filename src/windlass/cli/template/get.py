"""`windlass template get`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.output import detail_lines, to_yaml
from windlass.cli.session import Session
from windlass.cli.text import local_time, plain

_EXAMPLES = """
windlass template get etl
windlass template get etl --json
"""


@make(name="get", examples=_EXAMPLES)
@click.argument("name")
def command(session: Session, *, name: str) -> None:
    """Show a template: its parameters, and what jobs get from it."""
    with session.connect() as client:
        found = client.get("templates", name, project=session.project)
    session.out.value(found, lambda: _lines(found))


def _lines(template: Mapping[str, Any]) -> Iterator[str]:
    yield from detail_lines(
        [
            ("template", template["name"]),
            ("project", template["project"]),
            ("labels", plain(template["labels"] or None)),
            ("source", plain(template["provenance"])),
            ("updated", local_time(template["updatedAt"])),
        ]
    )
    yield ""
    yield from to_yaml({"parameters": template["parameters"], "spec": template["spec"]}).splitlines()
