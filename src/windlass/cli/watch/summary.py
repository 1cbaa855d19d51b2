"""How a run ended, in a few lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from windlass.cli.output import Output
from windlass.cli.reasons import reason_text
from windlass.cli.run.get import error_text
from windlass.cli.states import COLOURS, SIGNS, counted, paint
from windlass.cli.text import between, duration, fitted, plain
from windlass.cli.watch.loglines import LogLines

if TYPE_CHECKING:
    from windlass.client.client import Client

#: Failed tasks that are told of, and lines of output that are shown of each.
_MOST_TASKS: Final = 5
_MOST_LINES: Final = 10
#: Characters of one of these lines.
_WIDEST: Final = 500
_BAD: Final = frozenset({"failed", "timeout"})


def summary_lines(
    run: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], out: Output, *, client: Client | None
) -> Iterator[str]:
    """Yield how a run ended and what failed; with `client` the last lines of output of what failed too."""
    sign = SIGNS[run["state"]]
    shown = paint(sign, COLOURS[run["state"]]) if out.colours else sign
    took = duration(between(run["startedAt"], run["finishedAt"]))
    allowed = f", {run['allowedFailures']} of the failures allowed" if run["allowedFailures"] else ""
    took_text = f" in {took}" if took else ""
    yield f"{shown} Run {run['id']} of {run['job']} {run['state']}{took_text}: {counted(run['counts'])}{allowed}"
    why = reason_text(run["reason"], run["state"])
    if run["state"] not in {"completed", "failed"} and why:
        yield f"  {why}"
    if run["state"] == "failed" and "step" not in (run["error"] or {}):
        yield f"  {error_text(run['error']) or why}"
    failed = [task for task in tasks if task["state"] in _BAD and not task["allowFailure"]]
    for task in failed[:_MOST_TASKS]:
        name = task["step"] + (f" [{task['key']}]" if task["key"] else "")
        yield f"  {name}: {error_text(task['error']) or reason_text(task['reason'])}"
        if client is not None:
            yield from (f"    {fitted(line, _WIDEST)}" for line in last_lines(client, run["id"], task))
    if len(failed) > _MOST_TASKS:
        yield f"  … and {len(failed) - _MOST_TASKS} more failed tasks; see `windlass run get {run['id']}`"
    if run["outputs"]:
        yield f"  outputs: {plain(run['outputs'])}"


def last_lines(client: Client, run_id: str, task: Mapping[str, Any]) -> list[str]:
    """Return the last lines of output of a task's last attempt."""
    lines: list[str] = []
    writer = LogLines(write=lambda line: lines.append(line.rstrip("\n")), named=False)
    which = {"step": task["step"], "key": task["key"] or None, "attempt": task["attempt"] or None}
    for event in client.events("runs", run_id, "logs", format="events", follow=False, **which):
        writer.take(event.json())
        del lines[:-_MOST_LINES]
    writer.close()
    return lines[-_MOST_LINES:]
