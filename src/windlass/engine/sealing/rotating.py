"""Keys looked after while everything works: rotated, and tried on all that is sealed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from windlass.engine.auditing.noting import note
from windlass.engine.engine import Engine
from windlass.engine.sealing.box import About, Unsealable, key_of
from windlass.engine.sealing.keyring import AUDIT, KeyMissing
from windlass.errors import NotFound, UserError
from windlass.store import data_keys, secrets
from windlass.store.secrets import SealedSecret
from windlass.store.transaction import Transaction

#: Values that one unit of work seals anew.
_BATCH: Final = 100
#: What secrets are about where they are sealed.
_KIND: Final = "secret"
#: Most of what is wrong that is told.
_TOLD: Final = 50


def about_secret(value: SealedSecret) -> About:
    """Return where a secret stands."""
    return About(_KIND, value.project, value.name, value.version)


async def rotate_master(engine: Engine) -> dict[str, Any]:
    """Seal all data keys under the current master key; values stay as they are.

    Return how many keys were sealed anew, and how many stand under each master key then: one under which none stands
    is not needed any more. Raises KeyMissing where the key of some is away: nothing was changed then.
    """
    return await engine.store.run(_rotate_master, engine)


def _rotate_master(tx: Transaction, engine: Engine) -> dict[str, Any]:
    anew = 0
    for kept in data_keys.all_keys(tx):
        under = engine.keyring.under_current(kept)
        if under is not None:
            data_keys.keep_under(tx, under.id, under.master, under.sealed)
            anew += 1
    note(tx, "keys.rotate", keys=anew)
    return {"keys": anew, "masterKeys": data_keys.keys_by_master(tx)}


async def rotate_data(engine: Engine, project: str | None) -> dict[str, Any]:
    """Give a project, or each that has one, a new data key, and seal all values under it; the old keys are removed.

    Killed on the way, everything can be read, and the same once more finishes it. What does not open is told and stays
    as it is. Raises NotFound where the project has sealed nothing yet.
    """
    renewed = await engine.store.run(_renew, engine, project)
    done = _Resealed()
    for key in await engine.store.read(data_keys.retired_keys):
        after: tuple[str, str] | None = None
        while (last := await engine.store.run(_reseal, engine, key.id, after, done)) is not None:
            after = last
    removed = await engine.store.run(data_keys.drop_unused)
    return {"keys": renewed, "values": done.values, "removedKeys": removed, "wrong": done.wrong[:_TOLD]}


@dataclass(slots=True)
class _Resealed:
    values: int = 0
    wrong: list[str] = field(default_factory=list)


def _renew(tx: Transaction, engine: Engine, project: str | None) -> int:
    # Keys of the audit are changed by epochs: see `engine.auditing.chain`.
    known = {key.project for key in data_keys.all_keys(tx)} - {AUDIT}
    if project is not None and project not in known:
        raise NotFound(f'Project "{project}" has sealed nothing yet: it has no key to rotate.')
    chosen = sorted(known) if project is None else [project]
    for one in chosen:
        engine.keyring.renew(tx, one)
        note(tx, "keys.rotate", project=one, data=True)
    return len(chosen)


def _reseal(
    tx: Transaction, engine: Engine, key_id: bytes, after: tuple[str, str] | None, done: _Resealed
) -> tuple[str, str] | None:
    """Seal some values anew that stand under a retired key; return the last one of them, None where none is left.

    One that does not open stays as it is, with its key.
    """
    page = secrets.sealed_secrets(tx, after, _BATCH, key_id=key_id)
    anew, wrong = 0, []
    for value in page:
        about = about_secret(value)
        try:
            plain = engine.keyring.unseal(tx, value.sealed, about)
        except (Unsealable, KeyMissing) as error:
            wrong.append(f"The secret {value.name} of project {value.project}: {error}")
            continue
        sealed, key = engine.keyring.seal(tx, plain, about)
        secrets.reseal(tx, value._replace(sealed=sealed), key)
        anew += 1
    done.values += anew
    done.wrong += wrong
    return (page[-1].project, page[-1].name) if page else None


@dataclass(slots=True)
class Verification:
    """What trying all keys on all values came to."""

    keys: int = 0
    values: int = 0
    #: Values that still stand under a key that is retired.
    old: int = 0
    wrong: list[str] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        """Note what is wrong, as far as anybody reads on."""
        if len(self.wrong) < _TOLD:
            self.wrong.append(sentence)


async def verify_keys(engine: Engine) -> dict[str, Any]:
    """Open every data key and every sealed value; return how many there are, and sentences on what does not open."""
    found = Verification()
    retired = await engine.store.read(_try_keys, engine, found)
    after: tuple[str, str] | None = None
    while True:
        page = await engine.store.read(_try_values, engine, after, retired, found)
        if page is None:
            break
        after = page
    masters = engine.keyring.masters(anew=True)
    return {
        "masterKeys": dict.fromkeys(masters.keys, 0) | await engine.store.read(data_keys.keys_by_master),
        "current": masters.current,
        "keys": found.keys,
        "values": found.values,
        "underRetiredKeys": found.old,
        "wrong": found.wrong,
    }


def _try_keys(tx: Transaction, engine: Engine, found: Verification) -> frozenset[bytes]:
    for kept in data_keys.all_keys(tx):
        found.keys += 1
        try:
            engine.keyring.check(kept)
        except (Unsealable, KeyMissing) as error:
            found.note(str(error))
    return frozenset(key.id for key in data_keys.retired_keys(tx))


def _try_values(
    tx: Transaction, engine: Engine, after: tuple[str, str] | None, retired: frozenset[bytes], found: Verification
) -> tuple[str, str] | None:
    """Try some values; return the last one of them, None where there is none left."""
    page = secrets.sealed_secrets(tx, after, _BATCH)
    for value in page:
        found.values += 1
        try:
            found.old += key_of(value.sealed) in retired
            engine.keyring.unseal(tx, value.sealed, about_secret(value))
        except (Unsealable, KeyMissing) as error:
            found.note(f"The secret {value.name} of project {value.project}: {error}")
    return (page[-1].project, page[-1].name) if page else None


def check_keys(tx: Transaction, engine: Engine) -> None:
    """See that this process can open what the store has sealed, as a server does before it serves.

    Raises UserError with one sentence where a master key is away or another one.
    """
    for kept in data_keys.all_keys(tx):
        try:
            engine.keyring.check(kept)
        except Unsealable as error:
            raise UserError(str(error)) from None
