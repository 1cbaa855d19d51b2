"""What is noted of archives: what nobody needs there, whose they are, and which runs were started by which."""

from __future__ import annotations

import pytest

from windlass.store.archive import catalogue
from windlass.store.archive.archived_files import Content, note_files
from windlass.store.archive.catalogue import NewEntry
from windlass.store.archive.marks import STRANGE, Marks, forget_archive, marks_of, set_marks, used_archives
from windlass.store.archive.traces import (
    document_name,
    forget_all_traces,
    forget_traces,
    note_traces,
    noted,
    traced_archives,
    traces,
    unneeded,
)
from windlass.store.relations import exists_anywhere, family_of
from windlass.store.store import Store
from windlass.store.tables import store_info
from windlass.store.transaction import Transaction

pytestmark = pytest.mark.promise("K06")
COLD = "file:///cold"
#: 2026-01-31T23:59:59Z
END = 1_769_903_999_000_000


def _enter(tx: Transaction, number: int, place: str, *, parent: int | None = None, cascades: int = 1) -> bytes:
    run_id = number.to_bytes(16)
    values = {
        "project": "default", "job_id": bytes(16), "revision_id": 1, "state": "completed", "created_at": END,
        "finished_at": END, "parent_id": None if parent is None else parent.to_bytes(16), "cascades": cascades,
    }  # fmt: skip
    assert catalogue.adopt(tx, NewEntry(run_id, "r", COLD, place, 1, "d"), values)
    return run_id


async def _check_traces(store: Store) -> None:
    one, two = "2026/01/31/a.gz", "2026/02/01/b.gz"

    def fill(tx: Transaction) -> None:
        run_id = _enter(tx, 1, f"{one}#0+9")
        note_files(tx, run_id, COLD, [Content("x", 1), Content("y", 1)])
        _enter(tx, 2, "")
        note_traces(tx, COLD, "document", [one, two, bytes(15).hex() + "02", bytes(15).hex() + "03"])
        note_traces(tx, COLD, "document", [one])
        note_traces(tx, COLD, "file", ["x", "z"])

    await store.run(fill)
    assert await store.read(traced_archives) == {COLD}
    names = await store.read(traces, COLD, "document", 10)
    assert names == sorted(names)
    assert len(names) == 4
    assert await store.read(traces, COLD, "document", 1, after=names[0]) == [names[1]]
    assert await store.run(unneeded, COLD, "document", names) == [bytes(15).hex() + "03", two]
    assert await store.run(unneeded, COLD, "document", names) == [bytes(15).hex() + "03", two]
    assert await store.read(noted, COLD, "document", names) == {bytes(15).hex() + "03", two}
    assert await store.run(unneeded, COLD, "file", ["x", "z", "never noted"]) == ["z"]
    await store.run(forget_traces, COLD, "file", ["z"])
    await store.run(catalogue.drop, [(1).to_bytes(16), (2).to_bytes(16)])
    assert await store.read(traces, COLD, "file", 10) == ["x", "y"]
    assert await store.run(unneeded, COLD, "document", [one]) == [one]
    await store.run(forget_all_traces, COLD)
    assert await store.read(traced_archives) == set()
    assert document_name(bytes(16), f"{one}#3+4") == one


async def _check_marks(store: Store) -> None:
    assert await store.read(marks_of, COLD) == Marks("", "")
    await store.run(set_marks, COLD, Marks("b", "a"))
    await store.run(set_marks, COLD, Marks("c", "b"))
    assert (await store.read(marks_of, COLD), await store.read(used_archives)) == (("c", "b"), {COLD})
    await store.run(forget_archive, COLD)
    assert await store.read(used_archives) == set()
    await store.run(lambda tx: tx.connection.execute(store_info.insert().values(key="restored", value="1")) and None)
    assert await store.read(marks_of, COLD) == Marks(STRANGE, STRANGE)


async def _check_families(store: Store) -> None:
    def fill(tx: Transaction) -> None:
        _enter(tx, 1, "")
        _enter(tx, 2, "", parent=1)
        _enter(tx, 3, "", parent=2)
        _enter(tx, 4, "", parent=1, cascades=0)

    await store.run(fill)
    family = await store.read(family_of, (1).to_bytes(16))
    assert [int.from_bytes(run_id) for run_id in family] == [1, 2, 3]
    await store.run(catalogue.forget, family[1:])
    assert await store.read(family_of, family[0]) == family[:1]
    assert [await store.read(exists_anywhere, run_id) for run_id in family] == [True, False, False]


CHECKS = [_check_traces, _check_marks, _check_families]


@pytest.mark.parametrize("check", CHECKS)
async def test_archives_are_known_as_they_were_noted(store: Store, check: object) -> None:
    assert callable(check)
    await check(store)


@pytest.mark.parametrize("check", CHECKS)
async def test_archives_are_known_on_postgresql_too(postgres_store: Store, check: object) -> None:
    assert callable(check)
    await check(postgres_store)
