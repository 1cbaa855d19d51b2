"""O5 at its root: every statement that changes a state is compared with the table of moves as it is executed."""

from __future__ import annotations

from windlass.model.state import RUN_MOVES, TASK_MOVES
from windlass.store.sqlite import SqliteStore
from windlass.store.transaction import Transaction

_WATCH = (
    "CREATE TEMP TABLE moves (kind TEXT, old TEXT, new TEXT, PRIMARY KEY (kind, old, new))",
    "CREATE TEMP TABLE wrong_moves (kind TEXT, old TEXT, new TEXT)",
    "CREATE TEMP TABLE removed_tasks (run_id BLOB, task INTEGER, state TEXT, PRIMARY KEY (run_id, task))",
    (
        "CREATE TEMP TRIGGER run_moves AFTER UPDATE OF state ON main.runs WHEN OLD.state <> NEW.state "
        "AND NOT EXISTS (SELECT 1 FROM moves WHERE kind = 'run' AND old = OLD.state AND new = NEW.state) "
        "BEGIN INSERT INTO wrong_moves VALUES ('run', OLD.state, NEW.state); END"
    ),
    (
        "CREATE TEMP TRIGGER task_moves AFTER UPDATE OF state ON main.queue WHEN OLD.state <> NEW.state "
        "AND NOT EXISTS (SELECT 1 FROM moves WHERE kind = 'task' AND old = OLD.state AND new = NEW.state) "
        "BEGIN INSERT INTO wrong_moves VALUES ('task', OLD.state, NEW.state); END"
    ),
    (
        "CREATE TEMP TRIGGER task_removals AFTER DELETE ON main.queue "
        "BEGIN INSERT INTO removed_tasks VALUES (OLD.run_id, OLD.task, OLD.state); END"
    ),
    (
        "CREATE TEMP TRIGGER task_ends AFTER INSERT ON main.tasks WHEN NEW.kept_from IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM archived_runs a WHERE a.run_id = NEW.run_id) AND NOT EXISTS ("
        "SELECT 1 FROM removed_tasks r JOIN moves m ON m.kind = 'task' AND m.old = r.state AND m.new = NEW.state "
        "WHERE r.run_id = NEW.run_id AND r.task = NEW.task "
        # What was not started completes with an earlier result alone.
        "AND NOT (r.state = 'queued' AND NEW.state = 'completed' AND coalesce(NEW.reason, '') <> 'cached')) "
        "BEGIN INSERT INTO wrong_moves SELECT 'task', coalesce((SELECT state FROM removed_tasks r "
        "WHERE r.run_id = NEW.run_id AND r.task = NEW.task), 'nothing'), NEW.state; END"
    ),
)


def watch_states(store: SqliteStore) -> None:
    """Compare all moves in `store` from now on with the tables of `windlass.model.state`; before any unit runs."""
    for statement in _WATCH:
        store.connection.exec_driver_sql(statement)
    for kind, moves in (("run", RUN_MOVES), ("task", TASK_MOVES)):
        for old, following in moves.items():
            for new in following:
                store.connection.exec_driver_sql("INSERT INTO moves VALUES (?, ?, ?)", (kind, old, new))


async def wrong_moves(store: SqliteStore) -> list[str]:
    """Return one sentence for each kind of move that was made and is in no table."""

    def unit(tx: Transaction) -> list[tuple[str, str, str]]:
        return tx.cursor.execute("SELECT DISTINCT kind, old, new FROM wrong_moves ORDER BY 1, 2, 3").fetchall()

    return [f"O5 a {kind} moved from {old} to {new}" for kind, old, new in await store.run(unit)]
