"""Results that a new run takes over from an earlier one, and what follows from them."""

from __future__ import annotations

from collections.abc import Collection

from windlass.engine.book import open_book, to_json
from windlass.engine.engine import Engine
from windlass.engine.following import Consequences, end_if_done, follow
from windlass.ids import id_text
from windlass.store import hot
from windlass.store.kept import keep_results
from windlass.store.rows import NewFact
from windlass.store.transaction import Transaction


def take_over(
    tx: Transaction, engine: Engine, run_id: bytes, revision_id: int, earlier: bytes, tasks: Collection[int]
) -> None:
    """Give a run that was just inserted the results of some tasks of an earlier one, which it has no queue rows for."""
    kept = sorted(tasks)
    keep_results(tx, run_id, earlier, kept)
    book = open_book(tx, engine, run_id, revision_id)
    steps = {book.step_number(task) for task in kept}
    consequences = Consequences()
    whole = sorted(step for step in steps if not hot.any_open(tx, run_id, *book.span(step)))
    follow(book, whole, consequences)
    data = {"kept": _ranges(kept, id_text(earlier)), **consequences.data()}
    end = end_if_done(book)
    types = "" if end is None else f"run.{end[0]}"
    if end is not None and end[1]:
        data["reason"] = end[1]
    hot.insert_facts(tx, [NewFact(types, run_id, None, tx.now, to_json(data))])


def _ranges(tasks: list[int], earlier: str) -> list[list[int | str]]:
    """Return ascending numbers as `[first, last, run]`."""
    ranges: list[list[int | str]] = []
    for task in tasks:
        if ranges and ranges[-1][1] == task - 1:
            ranges[-1][1] = task
        else:
            ranges.append([task, task, earlier])
    return ranges
