"""A mixed load: jobs of every kind whose steps keep the ledger, and a user who does not give up."""

from __future__ import annotations

import json
import random
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.oracle.crash import Victim
from tests.oracle.results import CACHED
from tests.oracle.told import Told
from windlass.client.client import Client
from windlass.errors import Conflict, NotFound, Unavailable, UserError
from windlass.ids import id_text, parse_id
from windlass.model.state import RUN_FINAL, RUN_MOVES

_PAUSE: Final = "read -r _ < /dev/null; sleep 0.05"
#: Leaves children behind that hide: in a session of their own, deaf to signals, with no environment.
_CHILDREN: Final = (
    'sleep "98765.$TOKEN" & setsid sleep "98765.$TOKEN" & nohup sleep "98765.$TOKEN" > /dev/null 2>&1 & '
    '(trap "" TERM HUP; env -i setsid sleep "98765.$TOKEN" &) '
)
#: What the job `talk` says on standard output.
TALK: Final = "".join(f"line {number}\n" for number in range(1, 3001)).encode()
#: Jobs that end only when they are cancelled.
ENDLESS: Final = frozenset({"endless", "boss"})

_CONDITIONS: Final = ("success", "always", "failure")

Fields = dict[str, Any]


def step(script: str, **fields: Any) -> Fields:
    """Return a step that says in the ledger when it begins and ends."""
    return {"run": f'. "$EFFECTS"; begin; {script}; say end', **fields}


JOBS: Final[dict[str, dict[str, Fields]]] = {
    "chain": {name: step(_PAUSE, onWorkerLost="retry") for name in ("a", "b", "c", "d")},
    "fragile": {"a": step(_PAUSE), "b": step("sleep 0.3"), "sweep": step(":", triggerRule="always")},
    "fan": {
        "split": step(":", onWorkerLost="retry"),
        "work": step("sleep 0.1", matrix={"n": [1, 2, 3, 4]}, onWorkerLost="retry"),
        "join": step(":", triggerRule="all_done"),
    },
    "flaky": {
        "a": step(
            '[ "$WINDLASS_ATTEMPT" -ge 3 ] || { say end; exit 75; }',
            retry={"attempts": 3, "delay": 0.1, "on": ["exit:75"]},
            onWorkerLost="retry",
        ),
        "b": step(":"),
    },
    "later": {"wait": {"type": "wait", "config": {"duration": "1s"}}, "a": step(":", onWorkerLost="retry")},
    "parents": {"a": step(f"{_CHILDREN}; sleep 0.2", onWorkerLost="retry"), "b": step(_CHILDREN)},
    "endless": {"a": step(f"{_CHILDREN}; exec sleep 98765.$TOKEN"), "sweep": step(":", triggerRule="always")},
    "choosy": {
        "pick": step("echo '##windlass::branch right'", branch=True, next=["left", "right"], onWorkerLost="retry"),
        "left": step(":"),
        "right": step(":", onWorkerLost="retry"),
    },
    "family": {
        "child": {"uses": {"job": "chain"}},
        "many": {"uses": {"job": "flaky"}, "matrix": {"n": [1, 2]}},
        "tell": step(":", triggerRule="all_done"),
    },
    "boss": {"child": {"uses": {"job": "endless"}}, "sweep": step(":", triggerRule="always")},
    "alone": {"a": step(_PAUSE, onWorkerLost="retry"), "b": step(":")},
    "newest": {"a": step("sleep 0.2"), "sweep": step(":", triggerRule="always")},
    "paired": {"a": step(_PAUSE), "b": step("sleep 0.1", matrix={"n": [1, 2, 3]}, onWorkerLost="retry")},
    "files": {
        "make": step(
            "for n in 1 2 3; do echo $n $WINDLASS_ATTEMPT > $n.txt; done; echo '##windlass::output {\"n\": 3}'",
            artifacts=["*.txt"],
            onWorkerLost="retry",
        ),
        "use": step(': "${{ steps.make.outputs.n }}"'),
    },
    "talk": {"a": step("i=1; while [ $i -le 3000 ]; do echo line $i; i=$((i+1)); done", onWorkerLost="retry")},
    "metered": {"call": step(":", matrix={"n": [1, 2, 3, 4, 5]}, onWorkerLost="retry"), "sweep": step(":")},
    "listener": {
        "told": {"type": "wait", "config": {"event": {"type": "go", "source": "load"}, "timeout": "2s"}},
        "then": step(":", triggerRule="all_done"),
    },
    "code": {
        "call": {"type": "python", "config": {"function": "json:loads", "arguments": {"s": "7"}}},
        "then": step(":", triggerRule="all_done"),
    },
    CACHED: {
        "make": step(
            'echo "$WINDLASS_TASK_ID $WINDLASS_ATTEMPT" > made.txt; '
            'printf \'##windlass::output {"who": "%s", "attempt": %s, "key": "%s"}\\n\' '
            '"$WINDLASS_TASK_ID" "$WINDLASS_ATTEMPT" "${{ parameters.key }}"',
            artifacts=["*.txt"],
            cache={"key": ["${{ parameters.key }}"], "ttl": "5s"},
            onWorkerLost="retry",
        ),
        "use": step(":", env={"WHO": "${{ steps.make.outputs.who }}"}),
    },
    "late": {"a": step("sleep 0.2", onWorkerLost="retry"), "b": step("sleep 0.2", onWorkerLost="retry")},
    "dead": {
        "a": step("echo kept > a.txt", artifacts=["*.txt"], onWorkerLost="retry"),
        "b": step('[ "$WINDLASS_KEY" = 1 ] || { say end; exit 3; }', matrix={"n": [1, 2, 3]}),
        "sweep": step(":", triggerRule="always"),
    },
    "passing": {
        "a": step("echo a > a.txt; echo b > b.txt", artifacts=["*.txt"], onWorkerLost="retry"),
        "b": step("echo b"),
    },
}
#: What else the manifests of some jobs say.
_MORE: Final[dict[str, Fields]] = {
    "alone": {"concurrency": {"limit": 1}},
    "newest": {"concurrency": {"limit": 1, "strategy": "replace"}},
    "paired": {"concurrency": {"limit": 2}, "maxParallelTasks": 2},
    "metered": {"rateLimits": [{"resource": "calls", "limit": 3, "window": "1s"}]},
    CACHED: {"parameters": {"key": {"type": "string", "default": "a"}}},
    "late": {"sla": {"duration": "600ms"}},
}
#: The jobs that steps of others start too, whose own steps say below which run that is.
_CHILDREN_TOO: Final = frozenset({"chain", "flaky", "endless"})
_OF_CHILD: Final = {"PARENT": "${{ default(run.trigger.type, '') == 'parent' ? run.trigger.run : '' }}"}
#: The jobs whose runs do not stay, by what their policy does with them.
LEAVING: Final[dict[str, tuple[str, ...]]] = {
    "archive": ("chain", "fan", "files", "family", "talk", "flaky", CACHED, "late", "dead", "alone", "fragile"),
    "delete": ("passing",),
}


def apply_load(victim: Victim, folder: Path, *, leave: bool = False) -> None:
    """Store all jobs of the load by the command line, and where runs are to `leave` the policies that say so."""
    files = []
    for alias, steps in JOBS.items():
        manifest = {
            "apiVersion": "v1",
            "kind": "Job",
            "metadata": {"alias": alias},
            "defaults": {"env": victim.ledger.environment() | (_OF_CHILD if alias in _CHILDREN_TOO else {})},
            **_MORE.get(alias, {}),
            "steps": [{"name": name, **fields} for name, fields in steps.items()],
        }
        files.append(folder / f"{alias}.yaml")
        files[-1].write_text(json.dumps(manifest))
    for to, jobs in LEAVING.items() if leave else ():
        spec = {"jobs": list(jobs), "minAge": "1s", "to": to}
        policy = {"apiVersion": "v1", "kind": "RetentionPolicy", "metadata": {"name": to}, "spec": spec}
        files.append(folder / f"policy-{to}.yaml")
        files[-1].write_text(json.dumps(policy))
    victim.apply(*files)


class Crowd:
    """Starts runs in every way, cancels and repeats them; what was not answered is asked again under its key."""

    def __init__(self, dice: random.Random) -> None:
        """Act as `dice` say."""
        self._dice = dice
        self._unanswered: list[tuple[tuple[str, ...], str, Fields]] = []
        self._keys = 0
        self.told = Told(passing=frozenset(LEAVING["delete"]))

    @property
    def accepted(self) -> list[bytes]:
        """Runs that were answered for."""
        return self.told.accepted

    def act(self, client: Client, tidies: float = 0.3) -> None:
        """Do one thing, with the chance `tidies` about runs that end or leave; an owner that is gone is no surprise."""
        try:
            if self._unanswered:
                self._ask(client)
            elif self.accepted and self._dice.random() < tidies:
                self._tidy(client)
            elif self.accepted and self._dice.random() < 0.25:
                self._meddle(client)
            else:
                self.start(client, self._dice.choice(sorted(JOBS)), **self._when())
        except (Unavailable, OSError, UserError):
            return

    def look(self, client: Client) -> None:
        """Ask for something, as often as not in vain."""
        with suppress(Unavailable, OSError):
            client.get("runs", limit=1)

    def start(self, client: Client, job: str, **body: Any) -> None:
        """Start a run of a job; those of jobs whose runs leave are as often as not without a key, which holds them."""
        if job == CACHED:
            body["parameters"] = {"key": self._dice.choice("aab")}
        free = job in LEAVING["delete"] or (job in LEAVING["archive"] and self._dice.random() < 0.6)
        if free:
            self._accept(client.post("jobs", job, "run", body=body))
        else:
            self._wish(client, ("jobs", job, "run"), body)

    def _when(self) -> Fields:
        """Return when a run is to begin: mostly at once."""
        chance = self._dice.random()
        if chance < 0.2:
            return {"delay": self._dice.choice([0.2, 0.7])}
        there = self._there()
        if chance < 0.4 and there:
            others = self._dice.sample(there, min(2, len(there)))
            return {"dependsOn": [f"{id_text(other)}:{self._dice.choice(_CONDITIONS)}" for other in others]}
        return {}

    def _there(self) -> list[bytes]:
        """Return the runs that nobody was told to be deleted."""
        return [run_id for run_id in self.accepted if run_id not in self.told.gone]

    def _meddle(self, client: Client) -> None:
        """Do something to a run that is there."""
        run_id = self._dice.choice(self._there() or self.accepted)
        what = self._dice.choice(["cancel", "cancel", "cancel", "retry", "resume", "from", "note", "pause", "event"])
        try:
            self._do(client, run_id, what)
        except NotFound:
            if not self.told.may_be_gone(run_id) and not self._has_left(client, run_id):
                raise AssertionError(f"{what}: run {id_text(run_id)} was accepted and is gone") from None

    def _has_left(self, client: Client, run_id: bytes) -> bool:
        """Say whether a run is in the archive, where runs of its job may go."""
        try:
            return self.told.jobs[run_id] in LEAVING["archive"] and bool(client.get("archive", id_text(run_id)))
        except NotFound:
            return False

    def _do(self, client: Client, run_id: bytes, what: str) -> None:
        run = id_text(run_id)
        if what in {"retry", "resume"}:
            self._wish(client, ("runs", run, what), {})
        elif what == "from":
            steps = sorted(JOBS[self.told.jobs[run_id]])
            self._wish(client, ("runs", run, "retry"), {"from": self._dice.choice(steps)})
        elif what == "pause":
            client.post("queues", "default", "pause", body={"why": "a pause"})
            client.post("queues", "default", "resume")
        elif what == "event":
            client.post("events", body={"type": "go", "source": "load", "data": {}})
        elif what == "note":
            client.call("PUT", ("runs", run, "note"), body={"note": "seen"})
        else:
            client.post("runs", run, what)

    def _tidy(self, client: Client) -> None:
        """Delete a run, let runs leave, bring one back, or queue again what failed for good."""
        run_id = self._dice.choice(self._there() or self.accepted)
        what = self._dice.choice(["delete", "delete", "sweep", "restore", "restore", "requeue", "requeue"])
        if what == "sweep":
            client.post("archive", "run", body={})
        elif what == "restore":
            away = client.get("archive", limit=20)["items"]
            if away:
                client.post("archive", self._dice.choice(away)["id"], "restore")
        elif what == "delete":
            self.delete(client, run_id)
        else:
            self._requeue(client, run_id)

    def delete(self, client: Client, run_id: bytes) -> None:
        """Ask for a run to be deleted, and keep in mind what was answered."""
        asked_before = run_id in self.told.wished  # what was answered then may never have arrived
        self.told.wished.add(run_id)
        try:
            answer = client.delete("runs", id_text(run_id))
        except UserError:  # another run needs it, or it is on its way
            if not asked_before:
                self.told.wished.remove(run_id)
            raise
        self.told.promised.add(run_id)
        if answer is None:
            self.told.gone.add(run_id)

    def _requeue(self, client: Client, run_id: bytes) -> None:
        """Queue again what is dead of a run: an old one that was queued again before gives the same answer."""
        before = sorted(self.told.requeued.keys() - self.told.wished)
        dead = client.get("dead-letters", limit=20)["items"]
        letter = self._dice.choice(dead) if dead else {"runId": id_text(run_id), "job": self.told.jobs[run_id]}
        run, job = letter["runId"], letter["job"]
        if before and self._dice.random() < 0.3:
            old = self._dice.choice(before)
            run, job = id_text(old), self.told.jobs.get(old, job)
        (one,) = client.post("dead-letters", "requeue", body={"items": [run]})["items"]
        old, new = parse_id(one["runId"]), parse_id(one["newRunId"])
        assert old is not None
        assert new is not None
        earlier = self.told.requeued.setdefault(old, new)
        assert earlier == new, f"{run} was queued again as {id_text(earlier)}, and as {one}"
        if new not in self.accepted:
            self.told.accepted.append(new)
            self.told.jobs[new] = job

    def _accept(self, run: Fields) -> None:
        run_id = parse_id(run["id"])
        assert run_id is not None
        if run_id not in self.told.jobs:
            self.told.accepted.append(run_id)
            self.told.jobs[run_id] = run["job"]

    def _wish(self, client: Client, path: tuple[str, ...], body: Fields) -> None:
        self._keys += 1
        self._unanswered.append((path, f"key-{self._keys}", body))
        self._ask(client)

    def _ask(self, client: Client) -> None:
        path, key, body = self._unanswered[-1]
        try:
            run = client.call("POST", path, body=body, headers={"Idempotency-Key": key})
        except UserError:  # such as to resume what is not final
            self._unanswered.pop()
            raise
        self._accept(run)
        self._unanswered.pop()

    def again(self, client: Client) -> None:
        """Ask again whatever was not answered."""
        while self._unanswered:
            with suppress(UserError):
                self._ask(client)

    def cancel(self, client: Client, jobs: Container[str]) -> None:
        """Cancel all runs of some jobs that are not final."""
        states = sorted(set(RUN_MOVES) - RUN_FINAL)
        for run in list(client.pages("runs", state=states)):
            if run["job"] in jobs:
                with suppress(Conflict, NotFound):  # it has ended meanwhile, and was to be deleted then
                    client.post("runs", run["id"], "cancel")

    def finish(self, client: Client) -> None:
        """Get the last answers, let go on what was paused, and cancel what does not end by itself."""
        client.post("queues", "default", "resume")
        self.again(client)
        self.cancel(client, ENDLESS)
