"""The owner of a store is killed again and again: nothing accepted is lost, nothing starts unasked, nothing lives on.

A failure prints its seed; `WINDLASS_KILL_SEED=... pytest tests/faults/test_kill.py` plays the same moves again.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.oracle.crash import User, Victim, open_runs, until
from tests.oracle.ledger import Ledger
from windlass.client.client import Client

#: Seconds after which it is asked whether anything still goes on.
_QUIET: Final = 0.5
_PAUSE: Final = "read -r _ < /dev/null; sleep 0.05"
#: Leaves children behind that hide: in a session of their own, deaf to signals, with no environment.
_CHILDREN: Final = (
    'sleep "98765.$TOKEN" & setsid sleep "98765.$TOKEN" & nohup sleep "98765.$TOKEN" > /dev/null 2>&1 & '
    '(trap "" TERM HUP; env -i setsid sleep "98765.$TOKEN" &) '
)

#: Who is killed while the owner goes on, and who is killed in the end. Where all three are gone at once nobody is left
#: to end the steps: the next owner does it before it takes work.
FIRST: Final[list[tuple[str, ...]]] = [(), (), (), ("supervisor",), ("guard",), ("guard", "supervisor")]
LAST: Final[list[tuple[str, ...]]] = [
    ("owner",), ("owner",), ("owner",), ("owner", "supervisor"), ("owner", "guard"), ("owner", "guard", "supervisor"),
]  # fmt: skip


def step(script: str, **fields: Any) -> dict[str, Any]:
    """Return a step that says in the ledger when it begins and ends."""
    return {"run": f'. "$EFFECTS"; begin; {script}; say end', **fields}


JOBS: Final[dict[str, dict[str, Any]]] = {
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
}


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Victim]:
    """Give an owner of a store with all jobs in it."""
    found = Victim(tmp_path, Ledger(tmp_path / "ledger"), worker_slots="6", drain_grace="5s", cleanup_grace="20s")
    for alias, steps in JOBS.items():
        written = [{"name": name, "type": "shell", **fields} for name, fields in steps.items()]
        manifest = {
            "apiVersion": "v1",
            "kind": "Job",
            "metadata": {"alias": alias},
            "defaults": {"env": found.ledger.environment()},
            "steps": [{key: value for key, value in one.items() if not _is_short(one, key)} for one in written],
        }
        (tmp_path / f"{alias}.yaml").write_text(json.dumps(manifest))
    found.apply(*(tmp_path / f"{alias}.yaml" for alias in JOBS))
    yield found
    found.close()
    print(found.log())  # noqa: T201 - shown where the test fails


def _is_short(one: dict[str, Any], key: str) -> bool:
    return key == "type" and "run" in one


def play(victim: Victim, rounds: int, seed: int) -> None:
    """Kill the owner `rounds` times at moments that the seed chooses, then let everything end."""
    dice = random.Random(seed)  # noqa: S311 - a game that can be played again
    user = User(sorted(JOBS), dice)
    survivors: dict[tuple[int, int], str] = {}
    for number in range(rounds):
        client = victim.start()
        left = survivors.keys() & victim.ledger.living().keys()
        assert not left, f"round {number}: it is ready while {[survivors[one] for one in left]} still live"
        for _ in range(dice.randrange(8)):
            user.act(client)
        aim = victim.ledger.size() + dice.choice([0, 1, 200, 900, 2500])
        if user.accepted and aim > victim.ledger.size():
            _work_until(victim.ledger, client, aim)
        for _ in range(dice.randrange(6)):
            client.get("runs", limit=1)
        first = dice.choice(FIRST)
        if first:
            victim.kill(*first)
            for _ in range(dice.randrange(5)):
                user.act(client)
        last = dice.choice(LAST)
        victim.kill(*last)
        survivors = victim.ledger.living()
        if not {"guard", "supervisor"} <= {*first, *last}:
            assert not survivors, f"round {number}: outlived {first}, {last}: {list(survivors.values())}"
        found = victim.problems(user.accepted)
        assert not found, f"round {number}, killed {first}, {last}:\n" + "\n".join(found)
    client = victim.start()
    user.finish(client)
    until(lambda: not open_runs(client), "the end of all runs", patience=120, pace=0.1)
    assert victim.stop() == 0
    assert not victim.ledger.living()
    assert victim.problems(user.accepted, at_rest=True) == []


def _work_until(ledger: Ledger, client: Client, aim: int) -> None:
    """Return once the ledger has grown to `aim`, or nothing has happened for as long as any step takes."""
    while ledger.size() < aim:
        size, end = ledger.size(), time.monotonic() + _QUIET
        until(lambda: ledger.size() > size or time.monotonic() > end, "the next effect")  # noqa: B023 - called at once
        if ledger.size() == size and not set(open_runs(client)) - {"endless running"}:
            return


@pytest.mark.promise("H07")
@pytest.mark.promise("C13")
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("rounds", "name"), [(8, "short"), pytest.param(50, "long", marks=pytest.mark.slow)])
def test_kill_9_at_any_moment(victim: Victim, rounds: int, name: str, request: pytest.FixtureRequest) -> None:
    request.node.user_properties.append(("store", "sqlite"))
    seed = int(os.environ.get("WINDLASS_KILL_SEED") or random.SystemRandom().randrange(2**32))
    print(f"WINDLASS_KILL_SEED={seed} ({name})")  # noqa: T201 - shown where the test fails
    play(victim, rounds, seed)
