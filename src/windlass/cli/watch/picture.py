"""A followed run as rows of coloured text: its graph, one row a step, and what each is doing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from windlass.cli.drawing import Line, draw_within, lane_count
from windlass.cli.reasons import reason_text
from windlass.cli.run.get import error_text
from windlass.cli.states import COLOURS, SIGNS, counted, state_of
from windlass.cli.text import between, duration, fitted, instant, one_line, width_of

#: Text with the style it is shown in.
Part = tuple[str, str]
Row = list[Part]

_SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAMES_A_SECOND: Final = 8
_BAR: Final = 24
#: Columns that a step's own text gets at least; with more lanes there are none.
_TEXT: Final = 40
#: Rows beside those of steps: the head and a line of what is left out.
_FRAME: Final = 3
#: What is shown first where not all steps have room.
_URGENCY: Final = (
    "running", "failed", "timeout", "waiting", "scheduled", "queued", "cancelled", "pending", "completed", "skipped",
)  # fmt: skip


@dataclass(slots=True)
class Picture:
    """What is known of a run."""

    run: Mapping[str, Any]
    graph: Mapping[str, Any]
    tasks: Sequence[Mapping[str, Any]]
    #: The last line of output by task.
    last_lines: dict[str, str] = field(default_factory=dict)
    #: What a task said last about how far it is.
    progress: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def rows_of(picture: Picture, *, now: datetime, width: int, height: int) -> list[Row]:
    """Return the rows of a picture that fit into a terminal."""
    steps: dict[str, list[Mapping[str, Any]]] = {name: [] for name in picture.graph["order"]}
    for task in picture.tasks:
        steps[task["step"]].append(task)
    states = {name: state_of(_counts(tasks)) for name, tasks in steps.items()}
    room = height - _FRAME
    left_out: list[str] = []
    lines = draw_within(picture.graph["order"], picture.graph["successors"], columns=width - _TEXT, rows=room)
    if lines is None:
        lines, left_out = _most_urgent(picture.graph["order"], states, room)
    lanes = lane_count(lines)
    rows = [_head(picture, now)]
    for line in lines:
        if line.node is None:
            rows.append([(line.before, "bright_black")])
            continue
        state = states[line.node]
        sign = _spin(now) if state == "running" else SIGNS[state]
        blanks = " " * (lanes - line.width)
        row = [(line.before, "bright_black"), (sign, COLOURS[state]), (f"{line.after}{blanks} ", "bright_black")]
        rows.append(row + _step(picture, line.node, steps[line.node], state, now))
    if left_out:
        counts: dict[str, int] = {}
        for name in left_out:
            counts[states[name]] = counts.get(states[name], 0) + 1
        rows.append([(f"… and {len(left_out)} more steps: {counted(counts)}", "bright_black")])
    return [cut(row, width) for row in rows]


def cut(row: Row, width: int) -> Row:
    """Return a row cut to `width` columns."""
    kept: Row = []
    for text, style in row:
        shown = fitted(text, width)
        kept.append((shown, style))
        width -= width_of(shown)
        if shown != text or width <= 0:
            break
    return kept


def _head(picture: Picture, now: datetime) -> Row:
    run = picture.run
    counts = _counts(picture.tasks)
    done = sum(counts.get(state, 0) for state in ("completed", "failed", "skipped", "cancelled", "timeout"))
    share = done / len(picture.tasks) if picture.tasks else 0.0
    filled = round(share * _BAR)
    took = duration(between(run["startedAt"] or run["createdAt"], run["finishedAt"], now))
    state = "cancelling" if run["cancelRequestedAt"] and not run["finishedAt"] else run["state"]
    return [
        (f"{run['job']}:{run['revision']} ", "bold"),
        ("━" * filled, COLOURS[run["state"]]),
        ("─" * (_BAR - filled), "bright_black"),
        (f" {done}/{len(picture.tasks)} ", ""),
        (state, COLOURS.get(state, "magenta")),
        (f" {took}  ", ""),
        (run["id"], "bright_black"),
    ]


def _most_urgent(order: Sequence[str], states: Mapping[str, str], room: int) -> tuple[list[Line], list[str]]:
    """Return rows for the steps that matter most now, in their order, and the names of the others."""
    ranked = sorted(range(len(order)), key=lambda number: (_URGENCY.index(states[order[number]]), number))
    chosen = set(ranked[: max(room, 1)])
    shown = [Line("", "", name) for number, name in enumerate(order) if number in chosen]
    return shown, [name for number, name in enumerate(order) if number not in chosen]


def _step(picture: Picture, name: str, tasks: Sequence[Mapping[str, Any]], state: str, now: datetime) -> Row:
    if len(tasks) == 1:
        return [(name, "bold" if state == "running" else ""), *_task(picture, tasks[0], now)]
    row: Row = [(name, "bold" if state == "running" else "")]
    if not tasks:
        return [*row, ("  no tasks", "bright_black")]
    row.append((f"  {counted(_counts(tasks))}", ""))
    running = next((task for task in tasks if task["state"] == "running"), None)
    if running is not None:
        row += [(f"  [{one_line(running['key'])}]", "bright_black"), *_saying(picture, running)]
    failed = next((task for task in tasks if task["state"] in {"failed", "timeout"}), None)
    if failed is not None and running is None:
        row.append((f"  [{one_line(failed['key'])}] {error_text(failed['error'])}", "red"))
    return row


def _kept(task: Mapping[str, Any]) -> str:
    return "cached" if task["reason"] == "cached" else "kept"


def _task(picture: Picture, task: Mapping[str, Any], now: datetime) -> Row:
    took = duration(between(task["startedAt"], task["finishedAt"], now))
    number, most = task["attempt"], task["maxAttempts"]
    tries = f"attempt {number}/{most}" if 1 < most >= number else f"attempt {number}" if number > 1 else ""
    match "kept" if task.get("keptFrom") else task["state"]:
        case "running":
            return [(_joined(took, tries if task["attempt"] > 1 else ""), ""), *_saying(picture, task)]
        case "completed" | "kept":
            told = _kept(task) if task.get("keptFrom") else took
            return [(_joined(told, tries if task["attempt"] > 1 else ""), "bright_black")]
        case "failed" | "timeout":
            allowed = " (allowed)" if task["allowFailure"] else ""
            why = error_text(task["error"]) or reason_text(task["reason"]) or task["state"]
            return [(_joined(took, tries), ""), (f"  {why}{allowed}", "red")]
        case "scheduled":
            due = instant(task["dueAt"])
            after = f"in {duration((due - now).total_seconds())}" if due else ""
            return [(_joined(f"attempt {task['attempt'] + 1} {after}" if task["attempt"] else after), "blue")]
        case "skipped" | "cancelled" | "waiting":
            return [(_joined(reason_text(task["reason"]) or task["state"]), COLOURS[task["state"]])]
        case _:
            return []


def _saying(picture: Picture, task: Mapping[str, Any]) -> Row:
    """Return what a running task says: how far it is, and its last line of output."""
    row: Row = []
    progress = picture.progress.get(task["id"], {})
    if progress.get("percent") is not None:
        row.append((f"  {progress['percent']:.0f}%", "cyan"))
    if progress.get("message"):
        row.append((f"  {one_line(str(progress['message']))}", ""))
    line = picture.last_lines.get(task["id"])
    if line:
        row.append((f"  │ {line}", "bright_black"))
    return row


def _joined(*texts: str) -> str:
    return "".join(f"  {text}" for text in texts if text)


def _counts(tasks: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for task in tasks:
        counts[task["state"]] = counts.get(task["state"], 0) + 1
    return counts


def _spin(now: datetime) -> str:
    return _SPINNER[int(now.timestamp() * _FRAMES_A_SECOND) % len(_SPINNER)]
