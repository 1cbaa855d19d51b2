"""The tables, as each database is told to make them."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

from sqlalchemy import create_mock_engine

from windlass.store.tables import metadata


def _index_texts(url: str) -> dict[str, str]:
    """Return how the database of `url` is asked for each index; white space and the room in its pages aside."""
    found: dict[str, str] = {}

    def keep(statement: Any, *_: object, **__: object) -> None:
        words = str(statement.compile(dialect=engine.dialect)).split()
        if words[0] == "CREATE" and "INDEX" in words[:3]:
            text = re.sub(r" WITH \(fillfactor = \d+\)", "", " ".join(words))
            found[words[words.index("INDEX") + 1]] = text

    engine = create_mock_engine(url, keep)
    metadata.create_all(engine, checkfirst=False)
    return found


def test_an_index_of_some_rows_is_one_in_every_database() -> None:
    sqlite, postgresql = _index_texts("sqlite://"), _index_texts("postgresql+asyncpg://")
    assert sqlite == postgresql
    assert sqlite["ix_queue_ready"].endswith("(route_id, rank, id) WHERE state = 'queued' AND worker_id IS NULL")
    partial = [index.name for table in metadata.tables.values() for index in table.indexes if "where" in index.info]
    assert sorted(name for name, text in sqlite.items() if " WHERE " in text) == sorted(map(str, partial))


def test_the_tables_are_declared_without_the_dialect_of_postgresql() -> None:
    program = "import sys, windlass.store.tables; print('sqlalchemy.dialects.postgresql' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
