"""`windlass policy get`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.output import detail_lines, to_yaml
from windlass.cli.session import Session
from windlass.cli.text import local_time, plain


@make(name="get")
@click.argument("name")
def command(session: Session, *, name: str) -> None:
    """Show a policy."""
    with session.connect() as client:
        found = client.get("policies", name, project=session.project)
    session.out.value(found, lambda: _lines(found))


def _lines(policy: Mapping[str, Any]) -> Iterator[str]:
    yield from detail_lines(
        [
            ("policy", policy["name"]),
            ("kind", policy["kind"]),
            ("project", policy["project"]),
            ("labels", plain(policy["labels"] or None)),
            ("source", plain(policy["provenance"])),
            ("updated", local_time(policy["updatedAt"])),
        ]
    )
    yield ""
    yield from to_yaml(policy["spec"]).splitlines()
