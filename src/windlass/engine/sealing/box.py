"""Sealed values: AES-256-GCM under a data key, bound to the place where each of them stands.

A sealed value is `version (1 byte) | id of the data key (16) | nonce (12) | ciphertext and tag`. What it is about goes
in as associated data, so that a value which was moved to another row, project or version does not open.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

from windlass.errors import Unavailable

#: First byte of what is sealed in this way.
VERSION: Final = 1
#: Bytes of a key.
KEY_SIZE: Final = 32
_ID: Final = 16
#: NIST SP 800-38D: random nonces of 96 bits, for at most 2^32 values under one key.
_NONCE: Final = 12
_TAG: Final = 16


class Unsealable(Unavailable):
    """A sealed value does not open: it was changed or moved, or its key is another one."""


@dataclass(frozen=True, slots=True)
class About:
    """Where a sealed value stands: it opens there and nowhere else."""

    #: What kind of thing it is, such as `secret`.
    kind: str
    project: str
    name: str
    version: int

    def data(self) -> bytes:
        """Return the associated data; no two places have the same."""
        texts = (self.kind, self.project, self.name, str(self.version))
        return b"".join(len(text.encode()).to_bytes(4, "big") + text.encode() for text in texts)


def new_key() -> bytes:
    """Return a key from the system's source of randomness."""
    return os.urandom(KEY_SIZE)


def seal(key: bytes, key_id: bytes, plain: bytes, about: bytes) -> bytes:
    """Return `plain` sealed under a key; `about` has to be given again to open it."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - 20 ms, for those who seal

    nonce = os.urandom(_NONCE)
    head = bytes([VERSION]) + key_id
    return head + nonce + AESGCM(key).encrypt(nonce, plain, head + about)


def unseal(key: bytes, sealed: bytes, about: bytes) -> bytes:
    """Return what was sealed. Raises Unsealable where it was changed, stands elsewhere, or has another key."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

    key_of(sealed)
    head, nonce, rest = sealed[: 1 + _ID], sealed[1 + _ID : 1 + _ID + _NONCE], sealed[1 + _ID + _NONCE :]
    try:
        return AESGCM(key).decrypt(nonce, rest, head + about)
    except InvalidTag:
        raise Unsealable(
            "it does not open: it was changed or moved in the database, or its key is another one"
        ) from None


def key_of(sealed: bytes) -> bytes:
    """Return the id of the data key that a value is sealed under. Raises Unsealable where it is no sealed value."""
    if len(sealed) < 1 + _ID + _NONCE + _TAG or sealed[0] != VERSION:
        raise Unsealable("it is no sealed value of a form that this version knows")
    return sealed[1 : 1 + _ID]
