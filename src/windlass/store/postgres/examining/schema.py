"""What of the schema is not as it should be and can be seen at once: indexes that were never finished, partitions."""

from __future__ import annotations

from typing import Literal

from windlass.store.findings import Finding
from windlass.store.postgres.drift import invalid_indexes
from windlass.store.postgres.partitions import lacking
from windlass.store.transaction import Transaction


def examine_schema(tx: Transaction) -> list[Finding]:
    """Return what is to be said; `db check` compares all of it."""
    problems, notes = lacking(tx.connection)
    return [
        *(_finding("error", "indexes", sentence) for sentence in invalid_indexes(tx.connection)),
        *(_finding("error", "partitions", sentence) for sentence in problems),
        *(_finding("warning", "partitions", sentence) for sentence in notes),
    ]


def _finding(level: Literal["warning", "error"], check: str, sentence: str) -> Finding:
    return Finding(level, check, f"{sentence[:1].lower()}{sentence[1:].rstrip('.')}")
