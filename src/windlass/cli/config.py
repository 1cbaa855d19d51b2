"""`windlass config`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.cli.table import Column
from windlass.settings import DESCRIPTIONS, NAMES, NOT_IN_FORCE, shown, variable


def _meaning(row: Mapping[str, Any]) -> str:
    return row["description"] if row["inForce"] else f"not yet in force: {row['description']}"


_COLUMNS = (
    Column("SETTING", lambda row: row["variable"]),
    Column("VALUE", lambda row: row["value"] or "-", shrinks=True),
    Column("FROM", lambda row: row["source"]),
    Column("MEANING", _meaning, shrinks=True, drops=True),
)


@make(name="config")
@click.option("--openapi", is_flag=True, help="Print the description of the REST API (OpenAPI 3.1) instead.")
def command(session: Session, *, openapi: bool) -> None:
    """Show every setting, its value and where it came from.

    A setting is taken from an option, else from the environment, else from windlass.toml in WINDLASS_HOME, else from
    its default.
    """
    if openapi:
        if session.out.format == "table":
            session.out.format = "json"
        session.out.value(session.program.openapi(), tuple)
        return
    loaded = session.loaded
    rows = [
        {
            "name": name,
            "variable": variable(name),
            "value": shown(loaded.settings, name),
            "source": loaded.sources[name],
            "description": DESCRIPTIONS[name],
            "inForce": name not in NOT_IN_FORCE,
        }
        for name in NAMES
    ]
    session.out.rows(rows, _COLUMNS, "There are no settings.")
