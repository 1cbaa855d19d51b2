"""Ends of attempts, and what they are kept by, as JSON, and back."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import orjson

from windlass.engine.report import NO_USAGE, KeptFile, Report, Usage
from windlass.engine.step_cache import Wanted
from windlass.engine.wire.claims import id_of
from windlass.engine.wire.outcomes import outcome_json, read_outcome
from windlass.errors import UserError
from windlass.ids import id_text
from windlass.model.step_cache import CacheKey
from windlass.model.storable import storable
from windlass.store.logs import NewChunk
from windlass.store.rows import Held


def report_json(report: Report) -> dict[str, Any]:
    """Return a report as JSON: what the server knows of the claim itself is left out."""
    used = report.usage
    found: dict[str, Any] = {
        "queueId": report.queue_id,
        "fence": report.fence,
        "runId": id_text(report.run_id),
        "task": report.task,
        "attempt": report.attempt,
        # As text: outputs may hold what no request may, such as NUL.
        "outcome": orjson.dumps(outcome_json(storable(report.outcome))).decode(),
        "finishedAt": report.finished_at,
    }
    if used is not NO_USAGE:
        found["usage"] = {
            "cpuMicros": used.cpu_micros,
            "maxRssBytes": used.max_rss_bytes,
            "bytesOut": used.bytes_out,
            "logBytes": used.log_bytes,
            "chunks": used.chunks,
            "unsaid": base64.b64encode(used.unsaid).decode(),
        }
    if report.artifacts:
        files = report.artifacts
        found["artifacts"] = [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in files]
    if report.keep is not None:
        found["keep"] = wanted_json(report.keep)
    return found


def read_report(data: Mapping[str, Any], row: Held | None, *, worker: str, single: bool) -> Report:
    """Return the report behind its JSON on the queue row that it is about; None where there is no such row any more.

    What it says of its run counts only in the second case: nothing but an event comes of it then.
    `single` says whether a completion of this task is one of its run. Raises UserError where it is none.
    """
    try:
        used = data.get("usage")
        usage = NO_USAGE
        if used is not None:
            usage = Usage(
                cpu_micros=used["cpuMicros"],
                max_rss_bytes=used["maxRssBytes"],
                bytes_out=used["bytesOut"],
                log_bytes=used["logBytes"],
                chunks=int(used["chunks"]),
                unsaid=base64.b64decode(used["unsaid"]),
            )
        run_id = id_of(data["runId"]) if row is None else row.run_id
        keep = data.get("keep")
        return Report(
            queue_id=data["queueId"],
            fence=data["fence"],
            run_id=run_id,
            task=data["task"] if row is None else row.task,
            attempt=data["attempt"] if row is None else row.attempt,
            outcome=read_outcome(orjson.loads(data["outcome"])),
            worker=worker,
            started_at=None if row is None else row.started_at,
            finished_at=int(data["finishedAt"]),
            usage=usage,
            single=single and row is not None,
            artifacts=tuple(
                KeptFile(str(file["name"]), int(file["size"]), file["sha256"], f"{id_text(run_id)}/{file['sha256']}")
                for file in data.get("artifacts", ())
            ),
            keep=None if keep is None else read_wanted(keep),
            queued_at=None if row is None else row.queued_at,
            first_started_at=None if row is None else row.first_started_at,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"That is no report: {type(error).__name__} {error}") from None


def wanted_json(wanted: Wanted) -> dict[str, Any]:
    """Return by what a result is kept as JSON."""
    return {
        "key": wanted.key.text,
        "parts": dict(wanted.key.parts),
        "project": wanted.project,
        "job": wanted.job,
        "step": wanted.step,
        "cell": wanted.cell,
        "ttl": wanted.ttl,
        "fresh": wanted.fresh,
    }


def read_wanted(data: Mapping[str, Any]) -> Wanted:
    """Return by what a result is kept. Raises UserError where it is nothing of that kind."""
    try:
        return Wanted(
            key=CacheKey(str(data["key"]), {str(name): str(digest) for name, digest in data["parts"].items()}),
            project=str(data["project"]),
            job=str(data["job"]),
            step=str(data["step"]),
            cell=str(data["cell"]),
            ttl=int(data["ttl"]),
            fresh=bool(data["fresh"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"That is no key of a result: {type(error).__name__} {error}") from None


def chunk_json(chunk: NewChunk) -> dict[str, Any]:
    """Return a piece of output as JSON."""
    return {
        "queueId": chunk.queue_id,
        "fence": chunk.fence,
        "seq": chunk.seq,
        "at": chunk.at,
        "stream": chunk.stream,
        "data": base64.b64encode(chunk.data).decode(),
    }


def read_chunk(data: Mapping[str, Any], row: Held) -> NewChunk:
    """Return a piece of output of the attempt that holds a row. Raises UserError where it is none."""
    try:
        raw = base64.b64decode(data["data"], validate=True)
    except ValueError:
        raise UserError("The data of a piece of output is no base64.") from None
    claim = (data["queueId"], data["fence"], row.run_id, row.task, row.attempt)
    return NewChunk(*claim, data["seq"], data["at"], data["stream"], raw)
