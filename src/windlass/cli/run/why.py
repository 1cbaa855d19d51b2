"""`windlass run why`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.session import Session
from windlass.cli.states import paint_signed, signed
from windlass.cli.text import local_times, one_line, short_id

_EXAMPLES = """
windlass run why 01a20241-74c1
windlass run why 01a20241-74c1 --step load --json
"""


@make(name="why", examples=_EXAMPLES)
@click.argument("run", type=RUN)
@click.option("--step", metavar="NAME", help="Say it of this step.")
@click.option("--key", metavar="KEY", help="Of a step with several tasks: of this one.")
def command(session: Session, *, run: str, step: str | None, key: str | None) -> None:
    """Say why a run or a step is in its state: waits, was skipped, failed, chose, and what is behind that."""
    with session.connect() as client:
        found = client.get("runs", run, "why", step=step, key=key)
    out = session.out
    out.value(found, lambda: _lines(found, colours=out.colours))


def _lines(found: Mapping[str, Any], *, colours: bool) -> Iterator[str]:
    subject = found["subject"]
    name = f"Step {subject['step']}" if "step" in subject else f"Run {short_id(subject['run'])} of {subject['job']}"
    key = f" [{subject['key']}]" if subject.get("key") else ""
    state = signed(found["state"])
    yield f"{one_line(name + key)}: {paint_signed(state) if colours else state}"
    yield from _behind(found["because"], "  ")


def _behind(causes: Sequence[Mapping[str, Any]], indent: str) -> Iterator[str]:
    for cause in causes:
        yield indent + local_times(one_line(cause["message"]))
        yield from _behind(cause.get("because", ()), f"{indent}  ")
