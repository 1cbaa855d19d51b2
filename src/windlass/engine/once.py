"""One run a key: what an idempotency key stands for, and the run that was started under it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
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
_SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def request(
    job: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    texts: Mapping[str, str] | None = None,
    revision: int | str | None = None,
    priority: int | None = None,
    scheduled_at: int | None = None,
    delay: float | None = None,
    labels: Mapping[str, str] | None = None,
    note: str | None = None,
    depends_on: Sequence[str | Mapping[str, Any]] = (),
    **more: Any,
) -> dict[str, Any]:
    """Return what somebody asked for in one form, whichever way it came: `n=3` as a text is the number 3.

    Nothing is filled in from the job, which may be another one by the time the same request comes again.
    """
    given = {name: _plain(value) for name, value in (parameters or {}).items()}
    given |= {name: _read(text) for name, text in (texts or {}).items()}
    return {
        "job": job,
        "revision": None if revision is None else str(revision),
        "parameters": given,
        "priority": priority,
        "scheduledAt": scheduled_at,
        "delay": None if delay is None else float(delay),
        "labels": dict(labels or {}),
        "note": note or None,
        "dependsOn": [_dependency(one) for one in depends_on],
        **more,
    }


def _read(text: str) -> str:
    """Return a text as the value that it stands for would be written: objects and lists are JSON however spaced."""
    if text[:1] in {"{", "["}:
        try:
            return _plain(orjson.loads(text))
        except orjson.JSONDecodeError:
            return text
    return text


def _plain(value: Any) -> str:
    """Return a value as text: numbers that are equal are the same text, and a text stands as it is."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(_equal(value), default=repr, option=_SORTED).decode()
    except (RecursionError, orjson.JSONEncodeError):
        return ""  # no run takes such a value, so that no key ever stands for it


def _equal(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _equal(one) for name, one in value.items()}
        case list() | tuple():
            return [_equal(one) for one in value]
    return value


def _dependency(said: str | Mapping[str, Any]) -> str:
    if isinstance(said, str):
        return said if ":" in said else f"{said}:success"
    return f"{said.get('run')}:{said.get('condition') or 'success'}"


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
    text = orjson.dumps(asked, default=repr, option=_SORTED)
    return hashlib.sha256(text).hexdigest()
