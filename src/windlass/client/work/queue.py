"""The queue of a server in another process, over HTTP: whatever is lost on the way, nothing is done twice."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from math import inf, isfinite
from pathlib import Path
from typing import Any, Final

import orjson

from windlass.client.work.line import PATIENCE, Line
from windlass.engine.claim import Claim, Exchange
from windlass.engine.compiled import CompiledJob, JobCache
from windlass.engine.heard_clock import HeardClock
from windlass.engine.queue import LeaseLost, WorkerFace
from windlass.engine.report import NO_USAGE, Ended, KeptFile, Report
from windlass.engine.step_cache import Missed, Wanted
from windlass.engine.wire.claims import id_of, read_claim
from windlass.engine.wire.outcomes import read_outcome
from windlass.engine.wire.protocol import SPOKEN
from windlass.engine.wire.reports import chunk_json, report_json, wanted_json
from windlass.engine.worker import POLL
from windlass.errors import Conflict, NotFound, Refused, ServerGone, Unavailable, UserError
from windlass.ids import id_text
from windlass.model.outcome import Failed
from windlass.model.storable import clean
from windlass.store.logs import NewChunk

_log = logging.getLogger(__name__)

Key = tuple[int, int]
#: Bytes of reports in one request, about, and of a piece of a file.
_PORTION: Final = 8 * 1024 * 1024
_PIECE: Final = 4 * 1024 * 1024
#: Seconds between two exchanges that say what this worker knows, so that what it does not know is settled.
_INVENTORY: Final = 30.0
#: Seconds that a server is asked to wait for news, and until it is asked again after it was away.
_NEWS: Final = 20
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
#: Seconds that a file waits for a server that is away.
_FILES_WAIT: Final = 600.0


@dataclass(slots=True)
class _Request:
    """One exchange as it was sent: of one whose answer was lost nobody knows whether it was done."""

    number: int
    reports: list[Report]
    capacity: int
    #: JSON of the reports, where they may be told as they are.
    told: list[dict[str, Any]] = field(default_factory=list)
    #: True where the server did not take the reports as they were.
    refused: bool = False


class HttpQueue:
    """The queue of a server; see `windlass.engine.queue.Queue`."""

    def __init__(
        self, line: Line, face: WorkerFace, instance: str, threads: ThreadPoolExecutor, jobs: JobCache, artifacts: Path
    ) -> None:
        """Speak over `line` for a worker that calls itself `instance`: a text that nobody else can know.

        `threads` wait for answers. `jobs` compiles what the server tells of jobs; files that attempts keep lie in
        `artifacts` until they are placed.
        """
        self._line = line
        self._face = face
        self._instance = instance
        self._threads = threads
        self._jobs = jobs
        self._artifacts = artifacts
        #: Jobs by revision, or why one cannot be read here.
        self._known: dict[int, CompiledJob | str] = {}
        #: Ends of tasks that were brought and cannot be read.
        self._unread: list[Report] = []
        self._numbers = count(1)
        self._one_by_one = asyncio.Lock()
        self._doubtful: _Request | None = None
        #: Reports that wait for their exchange: the worker has handed them over.
        self._waiting: list[Sequence[Report]] = []
        #: Claims that were brought, and ends that were told, by exchanges after which another one failed.
        self._brought: list[Claim] = []
        self._told: set[Key] = set()
        self._counted = time.monotonic()
        #: Seconds that a sign of life may take: of a lease there must be time left to end what may start elsewhere.
        self._patience = PATIENCE / 6
        self._parting = inf
        #: Seconds between two looks at the queue while the server tells of news, and whether it does.
        self._poll = POLL
        self._hears = False
        self.clock = HeardClock()
        #: Returns every claim that the worker runs or has yet to report.
        self.held: Callable[[], Collection[Key]] = tuple

    async def join(self) -> Mapping[str, Any]:
        """Make the worker known; return what the server says of itself and of attempts. Raises Unavailable."""
        face = self._face
        said: Mapping[str, Any] = await self._ask(
            "POST",
            "",
            {
                "instance": self._instance,
                "name": face.name,
                "host": face.host,
                "pid": face.pid,
                "slots": face.slots,
                "pool": face.pool,
                "labels": dict(face.labels),
                "queues": list(face.queues),
                "version": face.version,
                "speaks": list(SPOKEN),
            },
        )
        self._patience = min(self._patience, said["lease"] / 5)
        self._poll = said.get("poll", POLL)
        return said

    @property
    def poll(self) -> float:
        """Seconds between two looks at the queue: many while the server tells of news, for it is waited for."""
        return self._poll * random.uniform(0.8, 1.0) if self._hears else POLL  # noqa: S311 - spreads workers

    async def exchange(self, reports: Sequence[Report], capacity: int) -> Exchange:
        """Record ends and take tasks; see `Queue.exchange`. One is under way at a time."""
        self._waiting.append(reports)
        try:
            async with self._one_by_one:
                return await self._exchange(list(reports), capacity)
        finally:
            self._waiting.remove(reports)

    async def _exchange(self, reports: list[Report], capacity: int) -> Exchange:
        last = Exchange([], [])
        if self._doubtful is not None:
            last = await self._send(self._doubtful)
        reports = [report for report in (*reports, *self._unread) if _key(report) not in self._told]
        capacity = max(0, capacity - len(self._brought))
        portions = _portions(reports)
        for portion in portions if reports or capacity or not self._brought else ():
            portion.number = next(self._numbers)
            portion.capacity = capacity if portion is portions[-1] else 0
            last = await self._send(portion)
        claims, self._brought = self._brought, []
        self._unread = [report for report in self._unread if _key(report) not in self._told]
        self._told.clear()
        return Exchange(claims, last.stops, last.slots, last.again)

    async def _send(self, request: _Request) -> Exchange:
        """Have one exchange done, whether it was asked for before or not; what it brings is in `_brought`."""
        self._doubtful = request
        inventory = time.monotonic() - self._counted >= _INVENTORY
        known = {*self.held(), *(_key(report) for reports in self._waiting for report in reports)}
        known.update((claim.queue_id, claim.fence) for claim in self._brought)
        known.update(map(_key, self._unread))
        body = {
            "request": request.number,
            "reports": request.told,
            "capacity": request.capacity,
            "known": sorted(known),
            "inventory": inventory,
        }
        begun = time.monotonic()
        try:
            said = await self._ask("POST", "/exchange", body)
        except NotFound:
            self._drop()
            await self._join_anew()
            raise LeaseLost from None
        except (Conflict, Refused):
            self._doubtful = None
            raise
        except UserError as error:
            self._doubtful = None
            if request.refused or not request.reports:
                raise
            _log.error("The server does not take the ends of %d attempts: %s", len(request.reports), error)
            return await self._send(_refused(next(self._numbers), request, error))
        self.clock.hear(said["now"], begun)
        if inventory:
            self._counted = time.monotonic()
        if said["lost"]:
            self._drop()
            raise LeaseLost
        try:
            found = self._read(said)
        except KeyError:  # another server thought that it had told us: asked again it tells everything
            raise ServerGone("The server told of a task of a job that it did not tell of.") from None
        self._doubtful = None
        self._brought += found.claims
        self._told.update(map(_key, request.reports))
        return found

    def _drop(self) -> None:
        """Forget what is under way: it is lost."""
        self._doubtful = None
        self._brought = []
        self._unread = []
        self._told.clear()

    async def _join_anew(self) -> None:
        """Join a store that does not know this worker, such as one that was restored from an older copy."""
        try:
            await self.join()
        except Unavailable as error:
            _log.warning("Joining anew was not possible yet: %s", error)

    def _read(self, said: Mapping[str, Any]) -> Exchange:
        for revision in said["revisions"]:
            self._known[revision["id"]] = self._compiled(revision)
        claims = []
        unread = []
        for one in said["claims"]:
            job = self._known[one["revisionId"]]
            if isinstance(job, CompiledJob):
                claims.append(read_claim(one, job))
            else:
                unread.append(self._not_read(one, job))
        self._unread += unread
        if said["forget"]:
            self._known.clear()
        stops = [(one["queueId"], one["fence"], one["why"]) for one in said["stops"]]
        return Exchange(claims, stops, said["slots"], said["again"])

    def _compiled(self, revision: Mapping[str, Any]) -> CompiledJob | str:
        """Return a job, or why this worker cannot read it: it may be of another version than the server."""
        try:
            return self._jobs.compile(
                revision_id=revision["id"],
                job_id=bytes.fromhex(revision["jobId"]),
                project=revision["project"],
                alias=revision["alias"],
                number=revision["number"],
                content=orjson.loads(revision["content"]),
            )
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one job, the others are worked on
            _log.exception("The job %s cannot be read by this worker", revision["alias"])
            return f"The worker cannot read this job: {type(error).__name__} {error}"

    def _not_read(self, one: Mapping[str, Any], why: str) -> Report:
        """Return the end of a task whose job cannot be read here."""
        return Report(
            queue_id=one["queueId"],
            fence=one["fence"],
            run_id=id_of(one["runId"]),
            task=one["task"],
            attempt=one["attempt"],
            outcome=Failed("error", why, reason="unreadable_job"),
            worker=self._face.name,
            started_at=one["startedAt"],
            finished_at=self.clock.now(),
        )

    async def start(self, claim: Claim) -> bool:
        """Start a task that was only claimed; see `Queue.start`."""
        try:
            said = await self._ask("POST", "/start", {**_claim(claim), "cache": claim.cache})
        except NotFound:
            return False
        if said["started"]:
            claim.started_at, claim.first_started_at = said["startedAt"], said["firstStartedAt"]
        return bool(said["started"])

    async def recall(self, claim: Claim, wanted: Wanted) -> Ended | Missed:
        """Return the end of a task that takes a kept result; see `Desk.recall`."""
        try:
            said = await self._ask("POST", "/recall", {**_claim(claim), "wanted": wanted_json(wanted)})
        except (NotFound, Refused):
            return {"missed": "not_asked"}
        if "missed" in said:
            missed: Missed = said["missed"]
            return missed
        run = id_text(claim.run_id)
        files = tuple(
            KeptFile(one["name"], one["size"], one["sha256"], f"{run}/{one['sha256']}") for one in said["artifacts"]
        )
        return Ended(read_outcome(said["outcome"]), artifacts=files)

    async def append(self, chunks: Sequence[NewChunk]) -> int:
        """Keep output; see `Desk.append`."""
        try:
            said = await self._ask("POST", "/logs", {"chunks": [chunk_json(chunk) for chunk in chunks]})
        except NotFound:
            return len(chunks)
        return int(said["refused"])

    async def progress(self, claim: Claim, percent: float | None, message: str | None) -> None:
        """Keep how far an attempt is; see `Desk.progress`."""
        percent = percent if percent is not None and isfinite(percent) else None
        message = None if message is None else clean(message).replace("\0", "?")
        try:
            await self._ask("POST", "/progress", {**_claim(claim), "percent": percent, "message": message})
        except UserError as error:
            _log.warning("Progress of %s was not kept: %s", claim.step.name, error)

    async def secrets(self, claim: Claim, references: Sequence[str]) -> Mapping[str, str]:
        """Return secrets of a task that is held; see `Secretary.secrets`. A server that is away is waited for."""
        if not references:
            return {}
        ask = partial(self._ask, "POST", "/secrets", {**_claim(claim), "references": list(references)})
        values: Mapping[str, str] = (await self._patiently(ask))["values"]
        return values

    async def place(self, claim: Claim, files: Sequence[KeptFile]) -> None:
        """Bring files to the server; see `Desk.place`. A server that is away is waited for."""
        for file in {one.sha256: one for one in files}.values():
            path = self._artifacts / file.path
            await self._patiently(partial(self._bring, claim, file, path))
            await asyncio.to_thread(_drop, path)

    async def _bring(self, claim: Claim, file: KeptFile, path: Path) -> None:
        offset = 0
        while True:
            data = await asyncio.to_thread(_piece, path, offset)
            query = f"queue_id={claim.queue_id}&fence={claim.fence}&size={file.size}&offset={offset}"
            said = await self._ask("PUT", f"/files/{file.sha256}?{query}", raw=data)
            offset = said["there"]
            if offset >= file.size:
                return

    async def keep(self, claim: Claim, files: Sequence[KeptFile]) -> None:
        """Keep files that were placed for later tasks too; see `Desk.keep`."""
        said = [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in files]
        await self._ask("POST", "/keep", {**_claim(claim), "files": said})

    async def leave(self, unstarted: Sequence[Key]) -> None:
        """Say good-bye; see `Queue.leave`."""
        try:
            await self._ask("POST", "/leave", {"unstarted": [list(one) for one in unstarted]})
        except NotFound:
            return  # nobody knows us: we have left

    async def ending(self) -> None:
        """Tell that the worker was asked to end; see `Queue.ending`."""
        with suppress(NotFound):  # nobody knows us, or the server is of a version that does not ask
            await self._ask("POST", "/ending", {})

    def renew(self) -> bool:
        """Renew the lease; see `Queue.renew`."""
        try:
            said = self._line.call("POST", self._target("/heartbeat"), patience=self._patience)
        except NotFound:
            return False
        return bool(said["alive"])

    async def listen(self, hint: Callable[[], object]) -> None:
        """Call `hint` whenever there may be more to take, until this is cancelled."""
        seen, pause = "", _FIRST_PAUSE
        while True:
            try:
                said = await self._ask("GET", f"/news?wait={_NEWS}&seen={seen}")
            except (Unavailable, UserError):
                self._hears = False
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads workers, keeps no secret
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause, self._hears = _FIRST_PAUSE, True
            if said["seen"] != seen:
                seen = said["seen"]
                hint()

    def part(self, seconds: float) -> None:
        """Wait for a server that is away for so long at most from now on: the worker is to end."""
        self._parting = time.monotonic() + seconds

    async def _patiently(self, ask: Callable[[], Any]) -> Any:
        """Ask until there is an answer. Raises Unavailable where the server is away for too long."""
        pause, end = _FIRST_PAUSE, time.monotonic() + _FILES_WAIT
        while True:
            try:
                return await ask()
            except ServerGone:
                if time.monotonic() >= min(end, self._parting):
                    raise
            except NotFound:
                raise Refused("The server does not know this worker any more.") from None
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - as above
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _ask(self, method: str, path: str, body: Any = None, *, raw: bytes | None = None) -> Any:
        call = partial(self._line.call, method, self._target(path), body, raw=raw)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _target(self, path: str) -> str:
        return f"/api/v1/work/workers/{self._instance}{path}" if path else "/api/v1/work/workers"


def _portions(reports: list[Report]) -> list[_Request]:
    """Return requests that are not too large, at least one."""
    found = [_Request(0, [], 0)]
    size = 0
    for report in reports:
        told = report_json(report)
        length = len(orjson.dumps(told))
        if size and size + length > _PORTION:
            found.append(_Request(0, [], 0))
            size = 0
        found[-1].reports.append(report)
        found[-1].told.append(told)
        size += length
    return found


def _refused(number: int, request: _Request, error: UserError) -> _Request:
    """Return a request by which the same attempts fail: their ends were told, and cannot be taken."""
    message = f"The server did not take how the attempt ended: {error}"
    failed = Failed("error", message, reason="refused")
    told = [
        report_json(replace(report, outcome=failed, usage=NO_USAGE, artifacts=(), keep=None))
        for report in request.reports
    ]
    return _Request(number, request.reports, request.capacity, told, refused=True)


def _key(report: Report) -> Key:
    return report.queue_id, report.fence


def _claim(claim: Claim) -> dict[str, int]:
    return {"queueId": claim.queue_id, "fence": claim.fence}


def _drop(path: Path) -> None:
    """Remove a file that the server has, and its folder with the last one."""
    path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()


def _piece(path: Path, offset: int) -> bytes:
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(_PIECE)
