"""`windlass run get`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click

from windlass.cli.command import make
from windlass.cli.options import RUN
from windlass.cli.output import Output, detail_lines
from windlass.cli.reasons import reason_text
from windlass.cli.session import Session
from windlass.cli.states import paint_signed, signed
from windlass.cli.table import Column, table_lines
from windlass.cli.text import between, clock, duration, local_time, plain, short_id

#: What `waitingFor` says of the worker that a run lacks.
_LACK: Final = frozenset({"worker", "command", "advice", "others", "draining"})


def why(task: Mapping[str, Any]) -> str:
    """Return why a task is in its state, in one line."""
    if task.get("keptFrom"):
        return f"{'cached' if task['reason'] == 'cached' else 'kept'} from run {short_id(task['keptFrom'])}"
    return error_text(task["error"]) or reason_text(task["reason"], task["state"])


def error_text(error: Any) -> str:
    """Return an error in one line: its message, and the step that it is of where it names one."""
    if not isinstance(error, dict):
        return plain(error)
    text = plain(error["message"]) if error.get("message") else reason_text(error.get("reason"))
    step = plain(error.get("step"))
    key = plain(error.get("key"))
    return f"{step}{f' [{key}]' if key else ''}: {text}" if step else text


def waits_for(waiting: Any) -> str:
    """Return what a run waits for in one line."""
    if not isinstance(waiting, dict):
        return plain(waiting)
    if "worker" in waiting:
        rest = {name: value for name, value in waiting.items() if name not in _LACK}
        lacks = lacking_worker(waiting)
        return f"{lacks} {waits_for(rest)}" if rest else lacks
    if waiting.get("limit") in {"concurrency", "max_runs"}:
        key = f" with the key {plain(waiting['key'])}" if "key" in waiting else ""
        holders = ", ".join(waiting["holders"]) or "nobody any more"
        return f"a place among {waiting['allowed']}{key}, held by {holders}; {waiting['ahead']} wait before it"
    if "runs" not in waiting:
        return plain(waiting)
    others = {name: value for name, value in waiting.items() if name != "runs"}
    runs = ", ".join(f"run {run['id']} of {plain(run['job'])} ({run['condition']})" for run in waiting["runs"])
    return f"{runs}; {plain(others)}" if others else runs


def lacking_worker(waiting: Any) -> str:
    """Return which worker a run lacks, and the command that starts it; nothing where it lacks none."""
    if not isinstance(waiting, dict) or "worker" not in waiting:
        return ""
    need = waiting["worker"]
    labels = ", ".join(f"{plain(name)}={plain(value)}" for name, value in need["labels"].items())
    worker = f"a worker that serves queue {plain(need['queue'])} in pool {plain(need['pool'])}"
    worker += f" with labels {labels}" if labels else ""
    worker += f" and has the step type {plain(need['stepType'])}" if "stepType" in need else ""
    if "app" in need:
        worker = f"a worker with the application {plain(need['app'])}{worker.removeprefix('a worker')}"
    none = "all of them were told to take no more" if waiting["draining"] else "there is none"
    return f"{worker}, and {none}: {plain(waiting['advice'])}."


def note_lacking(session: Session, run: Mapping[str, Any]) -> None:
    """Say that nobody will take the tasks of a run, where that is so."""
    lacks = lacking_worker(run["waitingFor"])
    if lacks:
        session.out.note(f"Run {run['id']} waits for {lacks}")


def sla_text(sla: Mapping[str, Any] | None) -> str:
    """Return by when a run should have ended, in one line, and what of that it missed."""
    said = []
    for name, one in (sla or {}).items():
        zone = f" {plain(one['zone'])}" if "zone" in one else ""
        said.append(f"{name} by {local_time(one['due'])}{zone}{', missed' if one['missedAt'] else ''}")
    return "; ".join(said)


def _attempt(task: Mapping[str, Any]) -> str:
    if not task["attempt"]:
        return ""
    number, most = task["attempt"], task["maxAttempts"]
    return f"{number}/{most}" if 1 < most >= number else str(number)  # lost ones do not count towards the most


TASKS = (
    Column("STEP", lambda row: row["step"] + (f" [{row['key']}]" if row["key"] else "")),
    Column("STATE", lambda row: signed(row["state"]), paint=paint_signed),
    Column("ATTEMPT", _attempt, right=True),
    Column("TOOK", lambda row: duration(between(row["startedAt"], row["finishedAt"])), right=True),
    Column("EXIT", lambda row: plain(row["exitCode"]), right=True),
    Column("WHY", why, shrinks=True),
    Column("OUTPUTS", lambda row: plain(row["outputs"]), shrinks=True),
)
#: Of tasks that had several.
ATTEMPTS = (
    Column("ATTEMPT", lambda row: row["step"] + (f" [{row['key']}]" if row["key"] else "") + f" #{row['number']}"),
    Column("OUTCOME", lambda row: signed(row["outcome"] or "running"), paint=paint_signed),
    Column("STARTED", lambda row: local_time(row["startedAt"]), narrow=lambda row: clock(row["startedAt"])),
    Column("TOOK", lambda row: duration(between(row["startedAt"], row["finishedAt"])), right=True),
    Column("EXIT", lambda row: plain(row["exitCode"]), right=True),
    Column("WORKER", lambda row: plain(row["worker"]), drops=True),
    Column("WHY", lambda row: error_text(row["error"]), shrinks=True),
)
#: Runs that it started.
CHILDREN = (
    Column("CHILD", lambda row: row["id"]),
    Column("JOB", lambda row: f"{row['job']}:{row['revision']}"),
    Column("OF STEP", lambda row: plain((row["trigger"] or {}).get("step")), drops=True),
    Column("STATE", lambda row: signed(row["state"]), paint=paint_signed),
    Column("TOOK", lambda row: duration(between(row["startedAt"], row["finishedAt"])), right=True),
    Column("WHY", lambda row: error_text(row["error"]), shrinks=True),
)
#: Of which so many are shown, the newest.
_MOST_CHILDREN = 200

_EXAMPLES = """
windlass run get 01a20241-74c1
windlass run get 01a20241-74c1 --json
"""


@make(name="get", examples=_EXAMPLES)
@click.argument("run", type=RUN)
def command(session: Session, *, run: str) -> None:
    """Show a run, its tasks and their attempts. RUN is its id or the beginning of it."""
    with session.connect() as client:
        found = client.get("runs", run)
        tasks = list(client.pages("runs", found["id"], "steps"))
        attempts: dict[str, list[dict[str, Any]]] = {task["id"]: [] for task in tasks}
        for attempt in client.pages("runs", found["id"], "executions"):
            attempts.setdefault(attempt["taskId"], []).append(attempt)
        children = list(client.pages("runs", found["id"], "children", most=_MOST_CHILDREN))
    tasks = [task | {"attempts": attempts[task["id"]]} for task in tasks]
    shown = found | {"tasks": tasks, "children": [_child(run) for run in children]}
    session.out.value(shown, lambda: [*run_lines(found, tasks, session.out), *child_lines(children, session.out)])


def _child(run: Mapping[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in ("id", "job", "state", "reason", "startedAt", "finishedAt")}


def child_lines(children: Sequence[Mapping[str, Any]], out: Output) -> Iterator[str]:
    """Yield the runs that a run started as people read them."""
    if children:
        yield ""
        yield from table_lines(CHILDREN, children, width=out.width, colours=out.colours)


def _started_by(trigger: Mapping[str, Any] | None) -> str:
    """Return who or what started a run: `manual by ann`, and whatever else its trigger says."""
    left = dict(trigger or {})
    kind, who = plain(left.pop("type", None)), plain(left.pop("by", None))
    return " ".join(filter(None, [kind, who and f"by {who}", plain(left)]))


def run_lines(run: dict[str, Any], tasks: Sequence[dict[str, Any]], out: Output) -> Iterator[str]:
    """Yield a run and its tasks as people read them."""
    state = signed(run["state"])
    yield from detail_lines(
        [
            ("run", run["id"]),
            ("job", f"{run['job']}, revision {run['revision']}"),
            ("project", run["project"]),
            ("state", paint_signed(state) if out.colours else state),
            ("reason", plain(run["reason"])),
            ("error", error_text(run["error"])),
            ("waiting for", waits_for(run["waitingFor"])),
            ("parameters", plain(run["parameters"])),
            ("labels", plain(run["labels"])),
            ("note", plain(run["note"])),
            ("started by", _started_by(run["trigger"])),
            ("parent", plain(run["parentId"])),
            ("priority", f"{run['priority']} in queue {run['queue']}"),
            ("scheduled", local_time(run["scheduledAt"])),
            ("created", local_time(run["createdAt"])),
            ("started", local_time(run["startedAt"])),
            ("finished", local_time(run["finishedAt"])),
            ("took", duration(between(run["startedAt"], run["finishedAt"]))),
            ("cancel asked", local_time(run["cancelRequestedAt"])),
            ("restored", local_time(run["restoredAt"])),
            ("sla", sla_text(run["sla"])),
            ("deadline", "" if run["finishedAt"] else local_time(run["deadline"])),
            ("clean-up until", "" if run["finishedAt"] else local_time(run["cleanupUntil"])),
            ("deletion", "as soon as it has ended" if run["deleting"] else ""),
            ("allowed failures", plain(run["allowedFailures"] or None)),
            ("outputs", plain(run["outputs"])),
        ]
    )
    yield ""
    yield from table_lines(TASKS, tasks, width=out.width, colours=out.colours)
    earlier = [attempt for task in tasks if len(task["attempts"]) > 1 for attempt in task["attempts"]]
    if earlier:
        yield ""
        yield from table_lines(ATTEMPTS, earlier, width=out.width, colours=out.colours)
