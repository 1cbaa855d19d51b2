"""The catalogue of jobs against a model of it, through any sequence of calls."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from windlass.clock import ManualClock
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.compiled import JobCache, compiled
from windlass.engine.engine import Engine
from windlass.engine.jobs import delete_job, find_compiled, job_history, list_jobs
from windlass.engine.manifests import ManifestText
from windlass.errors import Conflict, NotFound
from windlass.ids import Uuid7Source
from windlass.model.apply_plan import Provenance
from windlass.model.catalog import StepCatalog
from windlass.model.manifest.canonical import to_job
from windlass.settings import Settings
from windlass.store.jobs import JobFilter
from windlass.store.open import open_store

Result = TypeVar("Result")
ALIASES = st.sampled_from("abcd")
SOURCES = st.sampled_from([None, "git", "other"])


@dataclass(slots=True)
class Known:
    """What the model knows of a job."""

    contents: list[int]
    source: str | None
    protected: bool
    live: bool = True


def manifest(alias: str, content: int) -> str:
    protected = 'labels: {windlass/protected: "true"}' if content % 2 else "labels: {}"
    return (
        f"apiVersion: v1\nkind: Job\nmetadata:\n  alias: {alias}\n  {protected}\n"
        f'steps:\n  - {{name: only, run: "echo {content}"}}\n'
    )


class Catalogue(RuleBasedStateMachine):
    """Applies, prunes and deletes, on a store in memory and in the model."""

    def __init__(self) -> None:
        """Start with an empty store."""
        super().__init__()
        self.runner = asyncio.Runner()
        self.opened = self.wait(open_store("memory://", version="0", clock=ManualClock()))
        self.engine = Engine(
            store=self.opened.store,
            ids=Uuid7Source(),
            settings=Settings(home=Path("/nowhere")),
            jobs=JobCache(to_job, steps=2),
            catalog=StepCatalog(),
        )
        self.known: dict[str, Known] = {}
        self.pinned: dict[int, int] = {}

    def teardown(self) -> None:
        self.wait(self.opened.close())
        self.runner.close()

    def wait(self, call: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(call)

    @rule(
        wanted=st.dictionaries(ALIASES, st.integers(0, 3), min_size=1),
        source=SOURCES,
        force=st.booleans(),
        prune=st.booleans(),
        dry_run=st.booleans(),
    )
    def apply_some(
        self, wanted: dict[str, int], source: str | None, *, force: bool, prune: bool, dry_run: bool
    ) -> None:
        options = ApplyOptions(
            provenance=None if source is None else Provenance(source=source), force=force, prune=prune, dry_run=dry_run
        )
        text = "---\n".join(manifest(alias, content) for alias, content in wanted.items())
        conflicts = [alias for alias, content in wanted.items() if self._conflicts(alias, content, source, force=force)]
        if conflicts:
            with pytest.raises(Conflict) as refused:
                self.wait(apply(self.engine, [ManifestText("x", text)], options))
            assert len(str(refused.value).splitlines()) == len(conflicts)
            return
        answer = self.wait(apply(self.engine, [ManifestText("x", text)], options))
        gone = [
            alias
            for alias, job in sorted(self.known.items())
            if prune and job.live and job.source == source and not job.protected and alias not in wanted
        ]
        assert list(answer.pruned) == gone
        said = {"created": answer.created, "changed": answer.changed, "unchanged": answer.unchanged}
        expected = {name: tuple(a for a, c in wanted.items() if self._verdict(a, c) == name) for name in said}
        assert said == expected
        if dry_run:
            return
        for alias, content in wanted.items():
            self._put(alias, content, source, force=force)
        for alias in gone:
            self.known[alias].live = False

    @rule(alias=ALIASES)
    def delete_one(self, alias: str) -> None:
        if alias in self.known and self.known[alias].live:
            self.wait(delete_job(self.engine, "default", alias))
            self.known[alias].live = False
        else:
            with pytest.raises(NotFound):
                self.wait(delete_job(self.engine, "default", alias))

    @rule(alias=ALIASES)
    def pin(self, alias: str) -> None:
        """Remember a revision, as a run does."""
        if alias in self.known and self.known[alias].live:
            found = self.wait(self.engine.store.read(find_compiled, self.engine, "default", alias))
            self.pinned[found.revision_id] = self.known[alias].contents[-1]

    @invariant()
    def lists_show_what_is_live(self) -> None:
        jobs, _ = self.wait(list_jobs(self.engine, JobFilter(project="default")))
        seen = {
            job["alias"]: (job["revision"], None if job["provenance"] is None else job["provenance"]["source"])
            for job in jobs
        }
        assert seen == {alias: (len(job.contents), job.source) for alias, job in self.known.items() if job.live}

    @invariant()
    def history_is_whole(self) -> None:
        for alias, job in self.known.items():
            if job.live:
                history, _ = self.wait(job_history(self.engine, "default", alias, limit=1000))
                assert [one["revision"] for one in history] == list(range(len(job.contents), 0, -1))

    @invariant()
    def what_was_pinned_stays_as_it_was(self) -> None:
        for revision_id, content in self.pinned.items():
            found = self.wait(self.engine.store.read(compiled, self.engine.jobs, revision_id))
            assert found.job.steps[0].config == {"run": f"echo {content}"}

    def _live(self, alias: str) -> Known | None:
        job = self.known.get(alias)
        return job if job is not None and job.live else None

    def _conflicts(self, alias: str, content: int, source: str | None, *, force: bool) -> bool:
        job = self._live(alias)
        if job is None or force or job.source is None or job.source == source:
            return False
        return not (source is None and job.contents[-1] == content)

    def _verdict(self, alias: str, content: int) -> str:
        job = self._live(alias)
        if job is None:
            return "created"
        return "unchanged" if job.contents[-1] == content else "changed"

    def _put(self, alias: str, content: int, source: str | None, *, force: bool) -> None:
        job = self.known.get(alias)
        if job is None:
            self.known[alias] = Known([content], source, protected=bool(content % 2))
            return
        same = job.contents[-1] == content
        stays = job.live and same and source is None and not force
        taken = job.live and not stays and job.source != source
        if not stays:
            job.source = source
        if not same or taken:
            job.contents.append(content)
        job.live, job.protected = True, bool(content % 2)


TestCatalogue = pytest.mark.promise("C03")(Catalogue.TestCase)
