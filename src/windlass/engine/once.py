"""One run a key: what an idempotency key stands for, and the run that was started under it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from windlass.clock import SECOND
from windlass.engine.engine import Engine
from windlass.errors import UserError
from windlass.ids import id_text
from windlass.store.keys import keep_key, kept_key
from windlass.store.transaction import Transaction

#: How long an idempotency key is kept, in microseconds.
KEY_LIFE = 24 * 3600 * SECOND


async def earlier_run(engine: Engine, project: str, key: str | None, asked: Mapping[str, Any]) -> bytes | None:
    """Return the run that a key stands for already; None where there is no key, or it is free.

    `asked` is what the caller wrote, before anything is filled in or computed: the answer to the same request stays the
    same whatever became of the job meanwhile. Raises UserError where the key stands for something else.
    """
    return None if key is None else await engine.store.read(run_under_key, project, key, asked)


def run_under_key(tx: Transaction, project: str, key: str, asked: Mapping[str, Any]) -> bytes | None:
    """Return the run that a key stands for; see `earlier_run`."""
    found = kept_key(tx, project, key)
    if found is None:
        return None
    run_id, digest = found
    if digest != _digest(asked):
        raise UserError(
            f'The idempotency key "{key}" already stands for run {id_text(run_id)}, which was asked for with other '
            "content; use another key."
        )
    return run_id


def stand_for(tx: Transaction, project: str, key: str, asked: Mapping[str, Any], run_id: bytes) -> None:
    """Have a free key stand for a run."""
    keep_key(tx, project, key, _digest(asked), run_id, tx.now + KEY_LIFE)


def _digest(asked: Mapping[str, Any]) -> str:
    """Return the hash of a request; what is no JSON in it is refused elsewhere, if this is a new request."""
    text = orjson.dumps(asked, default=repr, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    return hashlib.sha256(text).hexdigest()
