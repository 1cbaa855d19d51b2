"""`windlass job preview`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from windlass.cli.command import make
from windlass.cli.options import JOB
from windlass.cli.output import to_yaml
from windlass.cli.parameters import parameter_options, parameters_of
from windlass.cli.session import Session
from windlass.cli.text import clean, one_line

_EXAMPLES = """
windlass job preview orders -p region=us
"""


@make(name="preview", examples=_EXAMPLES)
@click.argument("job", type=JOB)
@parameter_options
@click.option("--revision", help="Number or tag of a revision; the newest where not given.")
def command(
    session: Session, *, job: str, param: tuple[str, ...], params: tuple[str, ...], revision: str | None
) -> None:
    """Show what a run would do, without starting it: steps rendered, secrets by name, changes since the last run."""
    body: dict[str, Any] = parameters_of(param, params)
    if revision is not None:
        body["revision"] = revision
    with session.connect() as client:
        path = ("jobs", job, "preview")
        found = client.call("POST", path, query={"project": session.project}, body=body)
    for warning in found["warnings"]:
        session.out.warn(warning)
    session.out.value(found, lambda: list(_told(found)))


def _told(found: Mapping[str, Any]) -> Iterator[str]:
    tasks = f"{found['tasks']} task{'' if found['tasks'] == 1 else 's'}"
    yield f"A run of {found['job']}, revision {found['revision']}, would have {tasks}, priority {found['priority']}"
    yield from (f"  {name} = {_value(value)}" for name, value in found["parameters"].items())
    for step in found["steps"]:
        yield ""
        yield from _step(step)
    if found["secrets"]:
        yield ""
        yield f"secrets: {', '.join(map(clean, found['secrets']))}"
    yield ""
    yield from _since(found["lastRun"])


def _step(step: Mapping[str, Any]) -> Iterator[str]:
    notes = [step["type"]]
    if step["dependsOn"]:
        notes.append(f"after {', '.join(step['dependsOn'])}")
    if step["triggerRule"] != "all_success":
        notes.append(step["triggerRule"])
    if step["maxAttempts"] > 1:
        notes.append(f"up to {step['maxAttempts']} attempts")
    yield f"{step['name']}  ({'; '.join(notes)})"
    for cell in step["cells"]:
        yield from _cell(cell)
    left = step["tasks"] - len(step["cells"])
    if left > 0:
        yield f"  and {left} more tasks"


def _cell(cell: Mapping[str, Any]) -> Iterator[str]:
    if cell["key"]:
        yield f"  [{clean(cell['key'])}]"
    if cell["reason"]:
        yield f"  {clean(cell['reason'])}" + ("" if cell["rendered"] else "; shown as written")
    for part in ("config", "env", "variables"):
        if cell[part]:
            yield f"    {part}:"
        for name, value in cell[part].items():
            yield from (f"      {clean(line)}" for line in _field(name, value))


def _field(name: str, value: Any) -> Iterator[str]:
    """Return a field as lines; a script stands as it is."""
    if isinstance(value, str) and "\n" in value:
        yield f"{name}: |"
        yield from (f"  {line}" for line in value.rstrip("\n").split("\n"))
    else:
        yield from to_yaml({name: value}).rstrip("\n").splitlines()


def _value(value: Any) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _since(last: Mapping[str, Any] | None) -> Iterator[str]:
    if last is None:
        yield "It would be the first run."
        return
    yield f"Since the last run ({last['id']}, {last['state']}, revision {last['revision']}):"
    if not last["changes"] and not last["parameters"]:
        yield "  nothing changed"
    for change in last["changes"]:
        yield f"  {one_line(change['line'])}"
    for name, values in last["parameters"].items():
        yield f"  parameter {name}: {_value(values['before'])} -> {_value(values['now'])}"
