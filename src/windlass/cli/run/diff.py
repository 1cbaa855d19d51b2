"""`windlass run diff`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.session import Session
from windlass.cli.table import Column, table_lines
from windlass.cli.text import clean, duration, one_line, plain

_EXAMPLES = """
windlass run diff 01a20241-74c1 01a20242-10ab
windlass run diff 01a20241-74c1 01a20242-10ab --logs --json
"""


@make(name="diff", examples=_EXAMPLES)
@click.argument("run", type=RUN)
@click.argument("other", type=RUN)
@click.option("--logs", is_flag=True, help="Compare what the steps wrote, too.")
@click.option("--exit-code", is_flag=True, help="End with status 1 where anything but times differs.")
def command(session: Session, *, run: str, other: str, logs: bool, exit_code: bool) -> int:
    """Show how run OTHER differs from RUN: definition, parameters, outputs, how each step went, how long it took."""
    with session.connect() as client:
        found = client.get("runs", run, "diff", other=other, logs=logs)
    out = session.out
    out.value(found, lambda: _told(found, out.width))
    return 1 if found["differs"] and exit_code else 0


def _told(found: Mapping[str, Any], width: int | None) -> Iterator[str]:
    for side, sign in (("left", "-"), ("right", "+")):
        run = found[side]
        took = f" in {duration(run['seconds'])}" if run["seconds"] is not None else ""
        yield f"{sign} {run['id']}  {run['job']}:{run['revision']}  {run['state']}{took}"
    if not found["differs"]:
        yield "Nothing but times differs."
    for change in found["definition"]:
        yield f"definition: {one_line(change['line'])}"
    for part in ("parameters", "outputs"):
        yield from _values(part.removesuffix("s"), found[part])
    for task in found["tasks"]:
        yield from _task(task)
    rows = [task for task in found["tasks"] if task["in"] == "both"]
    if rows:
        yield ""
        yield from table_lines(_TIMES, rows, width=width)


def _task(task: Mapping[str, Any]) -> Iterator[str]:
    name = _name(task)
    if task["in"] != "both":
        yield f"step {name}: only in the {'first' if task['in'] == 'left' else 'second'} run"
        return
    yield from _values(f"step {name}:", task["facts"])
    yield from _values(f"step {name}: output", task["outputs"])
    lines = task.get("logs", {}).get("lines", ())
    if lines:
        yield f"step {name}: log"
        yield from (f"  {clean(line)}" for line in lines[2:])


def _values(what: str, values: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, sides in values.items():
        yield f"{what} {clean(name)}: {_shown(sides['left'])} -> {_shown(sides['right'])}"


def _shown(value: Any) -> str:
    return "none" if value is None else plain(value) or '""'


def _name(task: Mapping[str, Any]) -> str:
    return clean(task["step"] + (f"[{task['key']}]" if task["key"] else ""))


def _change(task: Mapping[str, Any]) -> str:
    before, after = task["seconds"]["left"], task["seconds"]["right"]
    if before is None or after is None:
        return ""
    return ("+" if after >= before else "-") + duration(abs(after - before))


_TIMES = (
    Column("STEP", _name),
    Column("FIRST", lambda row: duration(row["seconds"]["left"]), right=True),
    Column("SECOND", lambda row: duration(row["seconds"]["right"]), right=True),
    Column("CHANGE", _change, right=True),
)
