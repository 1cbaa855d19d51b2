"""`windlass template get`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.documents import show_document
from windlass.cli.session import Session

_EXAMPLES = """
windlass template get etl
windlass template get etl --json
"""


@make(name="get", examples=_EXAMPLES)
@click.argument("name")
def command(session: Session, *, name: str) -> None:
    """Show a template: its parameters, and what jobs get from it."""
    show_document(session, "templates", name, noun="template", content=_content)


def _content(template: Mapping[str, Any]) -> dict[str, Any]:
    return {"parameters": template["parameters"], "spec": template["spec"]}
