"""Audit entries, and the chain that shows whether any of them was changed, left out, added or moved.

Each entry carries a code made from its own content and the code of the entry before it: HMAC-SHA256 (RFC 2104) over
the canonical JSON of its fields and the code before, under the key of its epoch. Who does not have the key cannot make
a chain that fits; of an epoch without a key it shows only that nobody changed entries without making all later ones
anew.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Literal

Outcome = Literal["done", "refused", "failed"]
#: What stands before the first entry.
BEGINNING: Final = bytes(32)
#: What an epoch without a key is chained under: it keeps nobody from making a chain anew, and says so.
NO_KEY: Final = b"windlass audit chain without a key"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Who did what to which object."""

    #: Number in the chain; they have no gaps.
    seq: int
    #: Microseconds since the epoch, by the store's clock.
    at: int
    actor: str
    #: How the actor came in: `local` by the socket, later `user` or `token`.
    actor_kind: str
    #: Address of the caller; None for a process on the same machine.
    address: str | None
    #: None where it is about the whole store.
    project: str | None
    #: Noun and verb, such as `job.apply`.
    action: str
    #: What it was done to, such as `Job/backup`; None where it is about all.
    object: str | None
    #: Digests of the object before and after; None where it has none.
    before: str | None
    after: str | None
    outcome: Outcome
    request: str
    #: Further facts as canonical JSON; never a secret.
    data: str | None
    epoch: int


def code_of(entry: AuditEntry, previous: bytes, key: bytes) -> bytes:
    """Return the code of an entry that follows the one with the code `previous`."""
    text = json.dumps(asdict(entry), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hmac.new(key, text.encode() + previous, hashlib.sha256).digest()


@dataclass(frozen=True, slots=True)
class Break:
    """The first place at which a chain does not hold."""

    seq: int
    why: str


def first_break(
    entries: Iterable[tuple[AuditEntry, bytes]], keys: Mapping[int, bytes], *, seq: int = 0, code: bytes = BEGINNING
) -> Iterator[Break | tuple[int, bytes]]:
    """Go along a chain behind the entry `seq` with its `code`; yield number and code of each entry, or the break.

    An epoch that `keys` does not hold is a break: nothing can be said of it.
    """
    for entry, said in entries:
        if entry.seq != seq + 1:
            missing = f"{seq + 1}" if entry.seq == seq + 2 else f"{seq + 1} to {entry.seq - 1}"
            yield Break(
                seq + 1, f"entry {missing} is not there" if entry.seq > seq else f"entry {entry.seq} comes twice"
            )
            return
        key = keys.get(entry.epoch)
        if key is None:
            yield Break(entry.seq, f"the key of epoch {entry.epoch} cannot be had")
            return
        if not hmac.compare_digest(code_of(entry, code, key), said):
            yield Break(entry.seq, "it is not what was written, or does not follow the entry before it")
            return
        seq, code = entry.seq, said
        yield seq, code
