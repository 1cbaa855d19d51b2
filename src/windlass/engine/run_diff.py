"""Comparing two runs: definition, parameters, outputs, how their tasks went, how long they took, what they wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import orjson

from windlass.clock import SECOND, from_text
from windlass.engine.engine import Engine
from windlass.engine.job_diff import changes_json
from windlass.engine.reading import read_run, read_tasks
from windlass.model.diff import diff_jobs
from windlass.model.run_diff import differs, log_diff, pair_tasks, task_diff, values_diff
from windlass.store.logs import chunks_after
from windlass.store.revisions import revision
from windlass.store.runs import revision_of
from windlass.store.transaction import Transaction

#: Bytes of the log of one task, and lines of it, that are compared.
_LOG_BYTES: Final = 256 * 1024
_LOG_LINES: Final = 5000
#: Chunks read at a time.
_CHUNKS: Final = 16


async def diff_runs(engine: Engine, left: bytes, right: bytes, *, logs: bool = False) -> dict[str, Any]:
    """Return how one run differs from another, field by field; with `logs` what their tasks wrote is compared too.

    Secret parameters are never shown, and count as the same. Raises NotFound where one of the runs does not exist.
    """
    before, after = [await engine.store.read(_facts, engine, run_id) for run_id in (left, right)]
    pairs = pair_tasks(before["tasks"], after["tasks"])
    tasks = [task_diff(*pair) for pair in pairs]
    if logs:
        for task, (one, other) in zip(tasks, pairs, strict=True):
            texts = [await engine.store.read(_log, run_id, found) for run_id, found in ((left, one), (right, other))]
            same, lines = await asyncio.to_thread(log_diff, *texts)
            task["logs"] = {"same": same, "lines": lines}
    old, new = before["run"], after["run"]
    found = {
        "left": _head(before),
        "right": _head(after),
        "state": {} if old["state"] == new["state"] else {"left": old["state"], "right": new["state"]},
        "definition": [] if before["revision"] == after["revision"] else _changes(before, after),
        "parameters": values_diff(old["parameters"], new["parameters"]),
        "outputs": values_diff(old["outputs"] or {}, new["outputs"] or {}),
        "tasks": tasks,
    }
    return {**found, "differs": differs(found)}


def _facts(tx: Transaction, engine: Engine, run_id: bytes) -> dict[str, Any]:
    run = read_run(tx, engine, run_id)
    stored = revision(tx, revision_of(tx, run_id) or 0)
    content = {} if stored is None else orjson.loads(stored.content)
    images = {step["name"]: step.get("config", {}).get("image") for step in content.get("steps", ())}
    tasks = [
        {**task, "number": number, "seconds": _seconds(task), "image": images.get(task["step"])}
        for number, task in enumerate(read_tasks(tx, engine, run_id))
    ]
    return {"run": run, "revision": None if stored is None else stored.id, "content": content, "tasks": tasks}


def _log(tx: Transaction, run_id: bytes, task: Mapping[str, Any] | None) -> list[str]:
    """Return the lines that the last attempt of a task wrote, as far as they are compared."""
    if task is None or not task["attempt"]:
        return []
    data = b""
    after = -1
    while len(data) < _LOG_BYTES:
        chunks = chunks_after(tx, run_id, task["number"], task["attempt"], after, limit=_CHUNKS)
        if not chunks:
            break
        data += b"".join(chunk.data for chunk in chunks)
        after = chunks[-1].seq
    return data[:_LOG_BYTES].decode(errors="replace").splitlines()[:_LOG_LINES]


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    return changes_json(diff_jobs(before["content"], after["content"]))


def _head(facts: Mapping[str, Any]) -> dict[str, Any]:
    run = facts["run"]
    kept = ("id", "project", "job", "revision", "state", "reason", "startedAt", "finishedAt")
    return {**{name: run[name] for name in kept}, "seconds": _seconds(run)}


def _seconds(timed: Mapping[str, Any]) -> float | None:
    """Return how long a run or task took; None where it did not start or end."""
    if timed["startedAt"] is None or timed["finishedAt"] is None:
        return None
    return (from_text(timed["finishedAt"]) - from_text(timed["startedAt"])) / SECOND
