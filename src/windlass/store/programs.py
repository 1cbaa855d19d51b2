"""The programs that work on one store at the same time, with the schema that each needs: an upgrade looks at them."""

from __future__ import annotations

from typing import Final, NamedTuple

from sqlalchemy import Column, Table

from windlass.store.columns import Text, Time, every_table
from windlass.store.transaction import Transaction

#: The schema with which this table came.
PROGRAMS: Final = "0020"

programs = Table(
    "programs",
    every_table,
    #: What a process calls itself for as long as it lives: nobody else can know it.
    Column("instance", Text, primary_key=True),
    Column("version", Text, nullable=False),
    #: The schema that it was written for.
    Column("needs", Text, nullable=False),
    #: Stamped by the database: from then on it counts as gone.
    Column("until", Time, nullable=False),
)
"""Processes that work on a store which others use at the same time."""


class Program(NamedTuple):
    """One process and what it needs."""

    instance: str
    version: str
    needs: str


def note_program(tx: Transaction, program: Program, lease: int) -> None:
    """Note that a process works for `lease` microseconds more."""
    tx.cursor.execute(
        "INSERT INTO programs (instance, version, needs, until) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (instance) DO UPDATE SET until = excluded.until",
        (*program, tx.now + lease),
    )


def forget_program(tx: Transaction, instance: str) -> None:
    """Forget a process that ends."""
    tx.cursor.execute("DELETE FROM programs WHERE instance = ?", (instance,))


def programs_below(tx: Transaction, floor: str) -> list[Program]:
    """Return the processes at work that were written for a schema older than `floor`."""
    rows = tx.cursor.execute(
        "SELECT instance, version, needs FROM programs WHERE until > ? AND needs < ? ORDER BY instance", (tx.now, floor)
    )
    return [Program._make(row) for row in rows]
