"""Cancelling runs, whatever state they are in."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from windlass.clock import micros
from windlass.engine.auditing.noting import note
from windlass.engine.book import Book, open_book, to_json
from windlass.engine.engine import Engine
from windlass.engine.following import Consequences, end_if_done
from windlass.engine.setting_aside import set_aside
from windlass.engine.stopping import stop_rest
from windlass.errors import Conflict, NotFound
from windlass.ids import id_text
from windlass.model.ending import Stop
from windlass.model.state import RUN_FINAL
from windlass.store import hot, relations, timed
from windlass.store.rows import NewFact
from windlass.store.runs import project_of, revision_of
from windlass.store.transaction import Transaction, apart, require_alone

_log = logging.getLogger(__name__)


async def cancel(engine: Engine, run_id: bytes, *, by: str | None = None) -> bool:
    """Ask a run to stop; what is not started ends at once, what runs is stopped by its worker.

    Steps with the rule `always` still run, within the clean-up grace of the settings, where anything of the run was
    started; a second call stops those too.
    Cancelling a cancelled run changes nothing. Return whether it was asked to stop before.
    Raises NotFound where there is no such run, Conflict where it ended in another way.
    """
    return await engine.store.run(_cancel, engine, run_id, by)


def _cancel(tx: Transaction, engine: Engine, run_id: bytes, by: str | None) -> bool:
    again = cancel_run(tx, engine, run_id, by)
    note(tx, "run.cancel", f"Run/{id_text(run_id)}", project=project_of(tx, run_id), again=again or None)
    return again


def cancel_run(
    tx: Transaction, engine: Engine, run_id: bytes, by: str | None, for_run: Mapping[str, str] | None = None
) -> bool:
    """Cancel one run within a unit of work; see `cancel`.

    `for_run` is what the event says of another run that made this necessary: `{parent}` or `{replacedBy}`.
    """
    require_alone(tx)
    flags = hot.run_flags(tx, run_id)
    revision = revision_of(tx, run_id)
    if flags is None or revision is None:
        raise NotFound(f"There is no run {id_text(run_id)}.")
    if flags.state == "cancelled":
        return True
    if flags.state in RUN_FINAL:
        raise Conflict(
            f"Run {id_text(run_id)} is already {flags.state}; only a run that is not final can be cancelled."
        )
    again = flags.cancels > 0
    timed.ask_to_cancel(tx, run_id, tx.now + micros(engine.settings.cleanup_grace))

    def stop() -> None:
        book = open_book(tx, engine, run_id, revision)
        _stop(book, "run.cancel_requested", {"by": by, "again": again, **(for_run or {})}, spare=not again)

    failure = apart(tx, stop)
    if failure is not None:
        set_aside(tx, run_id, failure)
    _cancel_children(tx, engine, run_id, again=again)
    return again


def cancel_runs(
    tx: Transaction, engine: Engine, run_ids: Iterable[bytes], *, parent: bytes, again: bool = False
) -> None:
    """Cancel those of some runs that are not final, because of `parent`, which they were started below.

    Those that are asked to stop already are asked again only where it is `again`.
    """
    for run_id in run_ids:
        flags = hot.run_flags(tx, run_id)
        if flags is not None and flags.state not in RUN_FINAL and (again or not flags.cancels):
            cancel_run(tx, engine, run_id, None, {"parent": id_text(parent)})


def _cancel_children(tx: Transaction, engine: Engine, run_id: bytes, *, again: bool) -> None:
    children = relations.live_children(tx, run_id)
    cancel_runs(tx, engine, [child for child, _ in children], parent=run_id, again=again)
    if again:  # what nobody had asked to stop yet was started by clean-up, and gets none of its own
        cancel_runs(tx, engine, [child for child, cancels in children if not cancels], parent=run_id, again=True)


def expire(tx: Transaction, engine: Engine, run_id: bytes, revision_id: int) -> None:
    """Stop a run that is past its deadline; at the second time its clean-up too."""
    book = open_book(tx, engine, run_id, revision_id)
    grace = tx.now + micros(engine.settings.cleanup_grace)
    if book.stopping:
        timed.stop_cleanup(tx, run_id, grace)
        _stop(book, "", {}, spare=False)
        _cancel_children(tx, engine, run_id, again=True)
        for row in hot.open_rows(tx, run_id):  # its worker lives, else the task would have been settled
            text = "Run %s should have ended: step %s was asked to stop, and its worker has not said that it did"
            _log.error(text, id_text(run_id), book.step(row.task).name, extra={"run": id_text(run_id)})
        return
    timed.expire_run(tx, run_id, grace)
    book.flags = book.flags._replace(expired=1)
    _stop(book, "", {}, spare=True)
    _cancel_children(tx, engine, run_id, again=False)


def _stop(book: Book, types: str, data: dict[str, object], *, spare: bool) -> None:
    consequences = Consequences()
    why: Stop = "cancel" if book.flags.cancels else "timeout"
    begun = book.flags.state not in {"scheduled", "queued", "waiting"}  # what never began leaves nothing to clean up
    stop_rest(book, why, consequences, spare=spare and begun)
    end = end_if_done(book)
    if end is not None:
        types = f"{types},run.{end[0]}"
        data["reason"] = end[1]
    facts = data | consequences.data()
    if types or facts:
        hot.insert_facts(book.tx, [NewFact(types, book.run_id, None, book.tx.now, to_json(facts))])
