"""What runs took over and what was told of them: kept results, dead letters, alerts."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from tests.oracle.ledger import Effect
from tests.oracle.snapshot import Snapshot
from tests.oracle.told import Told
from windlass.ids import id_text, parse_id
from windlass.store.transaction import Transaction

#: The job of the load whose step says in its outputs, and in its file, which attempt has worked for them.
CACHED: Final = "cached"


def wrong_results(tx: Transaction, effects: Collection[Effect]) -> list[str]:
    """Return results of the cached step that are not what the attempt gave that has worked for them."""
    found = []
    ended = {(one.run_id, one.task, one.attempt) for one in effects if one.phase == "end"}
    rows = tx.cursor.execute(
        "SELECT t.run_id, t.reason, t.outputs, t.kept_from, r.parameters, "
        "(SELECT sha256 FROM artifacts a WHERE a.run_id = t.run_id AND a.task = 0) "
        "FROM tasks t JOIN runs r ON r.id = t.run_id JOIN jobs j ON j.id = r.job_id "
        "WHERE j.alias = ? AND t.task = 0 AND t.state = 'completed'",
        (CACHED,),
    ).fetchall()
    for run_id, reason, outputs, kept_from, parameters, sha256 in rows:
        name = f"run {id_text(run_id)} of {CACHED}, {reason or 'worked for'}"
        given = json.loads(outputs or "{}")
        who, attempt = given.get("who", ""), given.get("attempt", 0)
        worker, _, task = who.partition(".")
        worked = parse_id(worker)
        if worked is None or (worked, int(task), attempt) not in ended:
            found.append(f"O2 {name}: its outputs {given} are those of no attempt that ended")
        if given.get("key") != json.loads(parameters).get("key"):
            found.append(f"O3 {name}: it was asked for {parameters} and got {given}")
        if worked != run_id and kept_from is None:
            found.append(f"O3 {name}: its outputs are those of {who}, and it says nothing of that")
        if reason == "cached" and kept_from != worked:
            found.append(f"O3 {name}: its outputs are those of {who}, and it names {id_text(kept_from)}")
        # What is kept of an earlier run has its files there.
        if (reason == "cached" or kept_from is None) and sha256 != _digest(f"{who} {attempt}\n"):
            found.append(f"O7 {name}: its file is not what {who} made")
    return found


def unsettled_letters(tx: Transaction, told: Told) -> list[str]:
    """Return dead letters that were told to be queued again and still lie there."""
    found = []
    for run_id, new in told.requeued.items():
        rows = tx.cursor.execute(
            "SELECT task FROM tasks WHERE run_id = ? AND state IN ('failed', 'timeout') AND allowed = 0 "
            "AND kept_from IS NULL AND requeued_as IS NULL",
            (run_id,),
        ).fetchall()
        if rows:
            found.append(f"O1 run {id_text(run_id)}: tasks {rows} were queued again as {id_text(new)}, and lie there")
    return found


def wrong_alerts(snapshot: Snapshot, *, at_rest: bool) -> Iterator[str]:
    """Yield promises that were missed and not told of, told of twice, or told of and kept."""
    for run in snapshot.runs.values():
        promises: Mapping[str, Mapping[str, int]] = json.loads(run.row.sla or "{}")
        told = Counter(event.data["sla"] for event in run.events if event.type == "run.sla_missed")
        for name, count in told.items():
            if count > 1 or name not in promises:
                yield f"O5 {run.name}: that it missed {name} was told {count} times"
        for name, promise in promises.items():
            finished = run.row.finished_at
            missed = finished is not None and finished > promise["due"]
            if told[name] and finished is not None and not missed:
                yield f"O5 {run.name}: that it missed {name} was told, and it did not"
            if missed and at_rest and not told[name]:
                yield f"O5 {run.name}: that it missed {name} was not told"
            if bool(told[name]) is not ("missedAt" in promise):
                yield f"O5 {run.name}: {name} was told {told[name]} times, its row says {promise}"
        if bool(told) is not bool(run.row.sla_missed):
            yield f"O5 {run.name}: its row and its events disagree about {dict(told)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
