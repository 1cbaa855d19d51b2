"""O5 at its root: every statement that changes a state is compared with the table of moves as it is executed."""

from __future__ import annotations

from collections.abc import Iterator

from windlass.model.state import RUN_MOVES, TASK_MOVES
from windlass.store.sqlite import SqliteStore
from windlass.store.store import Store
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

_WATCH_THERE = (
    "DROP TABLE IF EXISTS moves, wrong_moves, removed_tasks CASCADE",
    "CREATE UNLOGGED TABLE moves (kind TEXT, old TEXT, new TEXT, PRIMARY KEY (kind, old, new))",
    "CREATE UNLOGGED TABLE wrong_moves (kind TEXT, old TEXT, new TEXT)",
    "CREATE UNLOGGED TABLE removed_tasks (run_id BYTEA, task INTEGER, state TEXT, PRIMARY KEY (run_id, task))",
    (
        "CREATE OR REPLACE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF OLD.state <> NEW.state AND NOT EXISTS "
        "(SELECT 1 FROM moves m WHERE m.kind = TG_ARGV[0] AND m.old = OLD.state AND m.new = NEW.state) "
        "THEN INSERT INTO wrong_moves VALUES (TG_ARGV[0], OLD.state, NEW.state); END IF; RETURN NULL; END $$"
    ),
    (
        "CREATE OR REPLACE FUNCTION note_removal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO removed_tasks VALUES (OLD.run_id, OLD.task, OLD.state); RETURN NULL; END $$"
    ),
    (
        "CREATE OR REPLACE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.kept_from IS NULL "
        "AND NOT EXISTS (SELECT 1 FROM archived_runs a WHERE a.run_id = NEW.run_id) AND NOT EXISTS ("
        "SELECT 1 FROM removed_tasks r JOIN moves m ON m.kind = 'task' AND m.old = r.state AND m.new = NEW.state "
        "WHERE r.run_id = NEW.run_id AND r.task = NEW.task "
        "AND NOT (r.state = 'queued' AND NEW.state = 'completed' AND coalesce(NEW.reason, '') <> 'cached')) "
        "THEN INSERT INTO wrong_moves SELECT 'task', coalesce((SELECT r.state FROM removed_tasks r "
        "WHERE r.run_id = NEW.run_id AND r.task = NEW.task), 'nothing'), NEW.state; END IF; RETURN NULL; END $$"
    ),
    "CREATE OR REPLACE TRIGGER run_moves AFTER UPDATE OF state ON runs FOR EACH ROW EXECUTE FUNCTION note_move('run')",
    (
        "CREATE OR REPLACE TRIGGER task_moves AFTER UPDATE OF state ON queue FOR EACH ROW "
        "EXECUTE FUNCTION note_move('task')"
    ),
    "CREATE OR REPLACE TRIGGER task_removals AFTER DELETE ON queue FOR EACH ROW EXECUTE FUNCTION note_removal()",
    "CREATE OR REPLACE TRIGGER task_ends AFTER INSERT ON tasks FOR EACH ROW EXECUTE FUNCTION note_end()",
)


def watch_states_there(tx: Transaction) -> None:
    """Do the same as `watch_states` on PostgreSQL, for all connections."""
    for statement in _WATCH_THERE:
        tx.cursor.execute(statement)
    tx.cursor.executemany("INSERT INTO moves VALUES (?, ?, ?)", list(_moves()))


def _moves() -> Iterator[tuple[str, str, str]]:
    for kind, moves in (("run", RUN_MOVES), ("task", TASK_MOVES)):
        for old, following in moves.items():
            for new in following:
                yield kind, old, new


def watch_states(store: SqliteStore) -> None:
    """Compare all moves in `store` from now on with the tables of `windlass.model.state`; before any unit runs."""
    for statement in _WATCH:
        store.connection.exec_driver_sql(statement)
    for move in _moves():
        store.connection.exec_driver_sql("INSERT INTO moves VALUES (?, ?, ?)", move)


async def wrong_moves(store: Store) -> list[str]:
    """Return one sentence for each kind of move that was made and is in no table."""

    def unit(tx: Transaction) -> list[tuple[str, str, str]]:
        return tx.cursor.execute("SELECT DISTINCT kind, old, new FROM wrong_moves ORDER BY 1, 2, 3").fetchall()

    return [f"O5 a {kind} moved from {old} to {new}" for kind, old, new in await store.run(unit)]
