"""The mixed load of a soak: jobs of every kind, and a user who starts, stops, reads, follows and walks away."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from windlass.client.client import Client
from windlass.errors import NotFound, UserError

#: Runs that the user remembers.
_REMEMBERED: Final = 60
#: Keys that the user starts runs under: each stands for its run, which stays, for 24 hours.
KEYS: Final = 20
_PYTHON: Final = "def work(n: int) -> dict[str, int]:\n    print('at work')\n    return {'sum': sum(range(n))}\n"
#: Answers that say no to a user who asks for what cannot be: the run ended or left meanwhile.
_NO: Final = (UserError, NotFound)

_STEPS: Final[dict[str, dict[str, Any]]] = {
    "quick": {"a": {"run": ":"}},
    "talk": {"a": {"run": 'i=0; while [ $i -lt 400 ]; do i=$((i + 1)); echo "line $i of many"; done'}},
    "chain": {
        "a": {"run": "echo '##windlass::output {\"n\": 1}'"},
        "b": {"run": 'echo "$N"', "env": {"N": "${{ steps.a.outputs.n }}"}, "dependsOn": "a"},
        "c": {"run": ":", "dependsOn": "b"},
    },
    "fan": {
        "work": {"run": 'echo "$CELL"', "env": {"CELL": "${{ matrix.n }}"}, "matrix": {"n": [1, 2, 3, 4]}},
        "join": {"run": ":", "dependsOn": "work", "triggerRule": "all_done"},
    },
    "flaky": {
        "a": {
            "run": '[ "$WINDLASS_ATTEMPT" -ge 3 ] || exit 75',
            "retry": {"attempts": 3, "delay": 0.2, "on": ["exit:75"]},
        }
    },
    "fails": {"a": {"run": "echo no >&2; exit 3"}, "tidy": {"run": ":", "dependsOn": "a", "triggerRule": "always"}},
    "files": {"a": {"run": "head -c 20000 /dev/urandom > kept.bin", "artifacts": ["*.bin"]}},
    "later": {"wait": {"type": "wait", "config": {"duration": "1s"}}, "a": {"run": ":", "dependsOn": "wait"}},
    "leaves": {"a": {"run": "sleep 1000 & setsid sleep 1000 & echo out"}},
    "endless": {"a": {"run": "exec sleep 1000"}},
    "slow": {"a": {"run": "exec sleep 1000", "timeout": "1s"}},
    "single": {"a": {"run": "sleep 0.05"}},
    "cached": {"a": {"run": ":", "cache": {"key": ["${{ parameters.key }}"], "ttl": "10s"}}},
    "rated": {"a": {"run": ":"}},
    "python": {"a": {"type": "python", "config": {"function": "soaked:work", "arguments": {"n": 3}}}},
    "parent": {"child": {"uses": {"job": "quick"}}, "a": {"run": ":", "dependsOn": "child"}},
}
_TOP: Final[dict[str, dict[str, Any]]] = {
    "single": {"concurrency": {"limit": 1, "strategy": "queue", "key": "${{ parameters.key }}"}},
    "slow": {"timeout": "30s"},
    "rated": {"rateLimits": [{"resource": "api", "limit": 50, "window": "1s"}]},
}
#: Jobs that are told a key: one that is often the same, and else a new one.
_KEYED: Final = {"single", "cached"}


def write_jobs(folder: Path) -> list[Path]:
    """Write the manifests of all jobs; return their files."""
    (folder / "soaked.py").write_text(_PYTHON)
    files = []
    for alias, steps in _STEPS.items():
        listed = [{"name": name, **fields} for name, fields in steps.items()]
        manifest = {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": alias}, **_TOP.get(alias, {})}
        manifest["defaults"] = {"env": {"PYTHONPATH": str(folder)}}
        files.append(folder / f"{alias}.yaml")
        files[-1].write_text(json.dumps(manifest | {"steps": listed}))
    return files


class Load:
    """Drives a server from a thread of its own until it is stopped."""

    def __init__(self, connect: Callable[[], Client], manifests: list[Path], *, rate: float, seed: int) -> None:
        """Act about `rate` times a second; `seed` decides what is done in which order."""
        self._connect = connect
        self._texts = [{"name": path.name, "text": path.read_text()} for path in manifests]
        self._rate = rate
        self._dice = random.Random(seed)  # noqa: S311 - a load that can be played again
        self._runs: deque[str] = deque(maxlen=_REMEMBERED)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._drive, name="load")
        #: What was done, how often, and what was refused.
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        #: Whatever should not have happened; the load has ended then.
        self.failure: BaseException | None = None
        self._acts: list[tuple[int, Callable[[Client], object]]] = [
            (60, self._start),
            (10, self._cancel),
            (10, self._read),
            (6, self._list),
            (5, self._look_around),
            (4, self._follow_log),
            (3, self._follow_events),
            (3, self._again),
            (2, self._requeue),
            (2, self._delete),
            (1, self._apply),
        ]

    def begin(self) -> None:
        """Begin to act."""
        self._thread.start()

    def end(self) -> None:
        """Stop acting; return once the last act is over."""
        self._ended.set()
        self._thread.join()

    def _drive(self) -> None:
        client = self._connect()
        weights = [weight for weight, _ in self._acts]
        try:
            while not self._ended.wait(self._dice.expovariate(self._rate)):
                ((_, act),) = self._dice.choices(self._acts, weights)
                name = act.__name__.strip("_")
                try:
                    act(client)
                    self.done[name] += 1
                except _NO as error:
                    self.refused[f"{name}: {type(error).__name__}"] += 1
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for the end of the soak
            self.failure = error

    def _start(self, client: Client) -> None:
        job = self._dice.choice(list(_STEPS))
        body: dict[str, Any] = {}
        if self._dice.random() < 0.3:
            body["labels"] = {"team": self._dice.choice("abc"), "number": str(self._dice.randrange(10**6))}
        if self._dice.random() < 0.2:
            body["priority"] = self._dice.choice(["low", "high", "critical"])
        if self._dice.random() < 0.1:
            body["delay"] = self._dice.choice([1, 3])
        if self._dice.random() < 0.1 and self._runs:
            body["dependsOn"] = [f"{self._dice.choice(self._runs)}:always"]
        if job in _KEYED:
            body["parameters"] = {"key": f"k{self._dice.randrange(10**6) if self._dice.random() < 0.3 else 1}"}
        headers = {}
        if self._dice.random() < 0.1:
            job, body, headers = "quick", {}, {"Idempotency-Key": f"k{self._dice.randrange(KEYS)}"}
        run = client.call("POST", ("jobs", job, "run"), body=body, headers=headers)
        self._remember(run)

    def _remember(self, run: dict[str, Any]) -> None:
        """Keep the id of a run that was started; one that never ends is stopped: its like would fill all slots."""
        self._runs.append(run["id"])
        if run["job"] == "endless":
            threading.Timer(1.0, self._stop, (run["id"],)).start()

    def _stop(self, run_id: str) -> None:
        with suppress(*_NO):
            self._connect().post("runs", run_id, "cancel")

    def _any(self) -> str:
        return self._dice.choice(self._runs) if self._runs else "00000000-0000-7000-8000-000000000000"

    def _cancel(self, client: Client) -> None:
        client.post("runs", self._any(), "cancel")

    def _read(self, client: Client) -> None:
        run = self._any()
        for part in ((), ("steps",), ("executions",), ("events",), ("why",), ("graph",), ("artifacts",)):
            client.get("runs", run, *part)

    def _list(self, client: Client) -> None:
        for query in ({}, {"state": "failed"}, {"label": "team=a"}, {"job": "chain"}):
            list(client.pages("runs", most=50, **query))

    def _look_around(self, client: Client) -> None:
        for path in (("queues",), ("workers",), ("jobs",), ("jobs", "health"), ("doctor",), ("archive",)):
            client.get(*path)
        client.get("jobs", "chain", "statistics")

    def _follow_log(self, client: Client) -> None:
        """Follow the output of a run and walk away in the middle."""
        _walk_away(client.events("runs", self._any(), "logs", follow=True), self._dice.randrange(4))

    def _follow_events(self, client: Client) -> None:
        """Follow all events and walk away after some."""
        _walk_away(client.events("events", last=5, follow=True), self._dice.randrange(1, 8))

    def _again(self, client: Client) -> None:
        self._remember(client.post("runs", self._any(), "retry", body={}))

    def _requeue(self, client: Client) -> None:
        page = client.get("dead-letters", limit=5)
        for item in page["items"][:1]:
            client.post("dead-letters", "requeue", body={"items": [item["id"]]})

    def _delete(self, client: Client) -> None:
        client.delete("runs", self._any())

    def _apply(self, client: Client) -> None:
        client.post("jobdefs", "apply", body={"files": self._texts})


def _walk_away(events: Iterator[Any], after: int) -> None:
    """Take so many events of a stream, for two seconds at most, and close it."""
    end = time.monotonic() + 2
    with suppress(Exception):
        for number, _ in enumerate(events):
            if number >= after or time.monotonic() > end:
                break
    events.close()  # type: ignore[attr-defined]


class Probe:
    """Starts one quick run after the other and says how long each waited for its start."""

    def __init__(self, connect: Callable[[], Client], *, pause: float) -> None:
        """Start one every `pause` seconds."""
        self._connect = connect
        self._pause = pause
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._drive, name="probe")
        self._found: list[float] = []
        self._lock = threading.Lock()
        self.failure: BaseException | None = None

    def begin(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Stop after the run that is under way."""
        self._ended.set()
        self._thread.join()

    def take(self) -> list[float]:
        """Return the waits in milliseconds since the last call."""
        with self._lock:
            found, self._found = self._found, []
        return found

    def _drive(self) -> None:
        try:
            client = self._connect()
            while not self._ended.wait(self._pause):
                run = client.post("jobs", "quick", "run", body={"priority": "critical", "labels": {"probe": "1"}})
                run = self._seen(client, run["id"])
                waited = datetime.fromisoformat(run["startedAt"]) - datetime.fromisoformat(run["createdAt"])
                with self._lock:
                    self._found.append(waited.total_seconds() * 1000)
        except BaseException as error:  # noqa: BLE001 - told to whoever waits for the end of the soak
            self.failure = error

    def _seen(self, client: Client, run_id: str) -> dict[str, Any]:
        """Return a run once it has started."""
        end = time.monotonic() + 60
        while True:
            run: dict[str, Any] = client.get("runs", run_id)
            if run["startedAt"] is not None:
                return run
            if time.monotonic() > end:
                raise TimeoutError(f"run {run_id} did not start within 60 s: {run}")
            self._ended.wait(0.05)
