"""The step cache against a model in plain Python: whatever is kept, taken and forgotten in whatever order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from windlass.clock import SECOND, ManualClock
from windlass.ids import SequentialIds
from windlass.store import step_cache
from windlass.store.sqlite import SqliteStore
from windlass.store.step_cache import CacheEntry, CacheFile
from windlass.store.upgrade import upgrade

MOST, LARGEST = 4, 20
NAMES = st.sampled_from(["p", "q"]), st.sampled_from(["k1", "k2", "k3", "k4", "k5"])
TTLS = st.integers(1, 50)


class Cache(RuleBasedStateMachine):
    """Keeps, takes and forgets; the model is a dictionary in the order of use."""

    def __init__(self) -> None:
        """Begin empty."""
        super().__init__()
        self.clock = ManualClock()
        self.store = SqliteStore(":memory:", clock=self.clock)
        upgrade(self.store, ids=SequentialIds())
        #: `(project, key)` to `(value, expires at, size)`, what was not used for longest first.
        self.model: dict[tuple[str, str], tuple[int, int, int]] = {}
        self.values = 0

    def do(self, what: Any, *args: Any, **more: Any) -> Any:
        self.clock.advance(1)  # no two uses at one time
        return self.store.run_blocking(what, *args, **more)

    @initialize()
    def begin(self) -> None:
        assert self.do(step_cache.figures) == (0, 0)

    @rule(project=NAMES[0], key=NAMES[1], ttl=TTLS, size=st.integers(0, 12))
    def keep(self, project: str, key: str, ttl: int, size: int) -> None:
        self.values += 1
        now = self.clock.now() + SECOND
        entry = CacheEntry(
            project=project,
            key=key,
            job="j",
            step="s",
            cell="",
            run_id=self.values.to_bytes(16, "big"),
            outputs={"value": self.values},
            files=(CacheFile("f", size, "0" * 64),) if size else (),
            created_at=now,
            expires_at=now + ttl * SECOND,
        )
        self.do(step_cache.keep, entry, most=MOST, largest=LARGEST)
        self.model.pop((project, key), None)
        self.model[project, key] = (self.values, now + ttl * SECOND, size)
        if len(self.model) > MOST:
            del self.model[next(iter(self.model))]
        while size and sum(one[2] for one in self.model.values()) > LARGEST:
            del self.model[next(name for name, one in self.model.items() if one[2])]

    @rule(project=NAMES[0], key=NAMES[1])
    def take(self, project: str, key: str) -> None:
        found = self.do(step_cache.find, project, key)
        kept = self.model.get((project, key))
        assert (None if found is None else found.outputs["value"]) == (None if kept is None else kept[0])
        if kept is not None:
            self.do(step_cache.taken, project, key)
            self.model[project, key] = self.model.pop((project, key))

    @rule(seconds=st.integers(0, 60))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)
        gone = self.do(step_cache.drop_expired)
        over = [name for name, one in self.model.items() if one[1] <= self.clock.now()]
        assert gone == len(over)
        for name in over:
            del self.model[name]

    @rule(project=NAMES[0], key=NAMES[1])
    def forget_its_run(self, project: str, key: str) -> None:
        kept = self.model.pop((project, key), None)
        if kept is not None:
            self.do(step_cache.forget_runs, [kept[0].to_bytes(16, "big")])

    @invariant()
    def it_is_bounded_and_knows_its_files(self) -> None:
        entries, size = self.store.run_blocking(step_cache.figures)
        assert (entries, size) == (len(self.model), sum(one[2] for one in self.model.values()))
        assert entries <= MOST
        files = self.store.run_blocking(step_cache.kept_files)
        assert files == ({"0" * 64} if size else set())

    def teardown(self) -> None:
        asyncio.run(self.store.close())


@pytest.mark.promise("C19")
def test_the_cache_is_as_the_model() -> None:
    run_state_machine_as_test(Cache, settings=settings(max_examples=40, stateful_step_count=30, deadline=None))
