"""`windlass keys rotate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.session import Session
from windlass.errors import UserError

_EXAMPLES = """
windlass keys create && windlass keys rotate
windlass keys rotate --data
"""


@make(name="rotate", examples=_EXAMPLES)
@click.option("--data", is_flag=True, help="Give projects new data keys, and seal every value under them.")
@click.option("--all", "every", is_flag=True, help="With --data: those of all projects.")
def command(session: Session, *, data: bool, every: bool) -> None:
    """Seal the data keys under the first master key of the key file, while everything works.

    A master key under which none stands any more can be taken out of the file. With --data the values of the project
    are sealed anew themselves; killed on the way, it is finished by the next one.
    """
    if every and not data:
        raise UserError("--all goes with --data: without it all keys are sealed anew in any case.")
    body: dict[str, Any] = {"data": True} if data else {}
    if data and not every and session.project != "*":
        body["project"] = session.project
    with session.connect() as client:
        found = client.post("keys", "rotate", body=body)
    for line in _of_data(found) if data else _of_master(found):
        session.out.done(line)
    for sentence in found.get("wrong", ()):
        session.out.warn(sentence)
    if session.out.format != "table":
        session.out.value(found, tuple)
    if found.get("wrong"):
        raise click.exceptions.Exit(1)


def _of_master(found: Mapping[str, Any]) -> list[str]:
    stand = ", ".join(f"{count} under {name}" for name, count in sorted(found["masterKeys"].items())) or "none yet"
    return [f"Sealed {found['keys']} data keys anew; they stand {stand}."]


def _of_data(found: Mapping[str, Any]) -> list[str]:
    made, anew, removed = found["keys"], found["values"], found["removedKeys"]
    return [f"Made {made} data keys, sealed {anew} values anew, removed {removed} old keys."]
