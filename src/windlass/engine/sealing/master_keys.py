"""Master keys: they seal the data keys of projects, and lie anywhere but in the database.

They come from the setting `master_key`, or from the file that `master_key_file` names, else `master.key` in the home:
lines `ID:KEY`, the key being 32 bytes in Base64. The first one seals what is new; those behind it still open what was
sealed before.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from windlass.engine.sealing.box import KEY_SIZE, new_key
from windlass.errors import Conflict, Refused, Unavailable, UserError
from windlass.settings import Settings

FILE_NAME: Final = "master.key"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_LARGEST: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class MasterKeys:
    """Keys by their ids, the one that seals first."""

    keys: Mapping[str, bytes]
    #: Where they come from, for messages.
    place: str

    @property
    def current(self) -> str | None:
        """The id of the key that seals what is new; None where there is no key."""
        return next(iter(self.keys), None)


def key_file(settings: Settings) -> Path:
    """Return the file in which the settings look for master keys."""
    return settings.master_key_file or settings.home / FILE_NAME


def master_keys(settings: Settings) -> MasterKeys:
    """Return the keys that the settings name; none where there is no file.

    Raises UserError where a key is none, Refused where others could read or exchange the file, Unavailable where it
    cannot be read.
    """
    if settings.master_key is not None:
        return MasterKeys(_read(settings.master_key.replace(",", "\n"), "WINDLASS_MASTER_KEY"), "WINDLASS_MASTER_KEY")
    path = key_file(settings)
    text = _text(path)
    return MasterKeys({} if text is None else _read(text, str(path)), str(path))


def create_key(settings: Settings) -> tuple[Path, str]:
    """Make a new master key and put it first in the file of the settings; return the file and the id of the key.

    Raises Conflict where the settings give the keys themselves, so that no file is asked; else as `master_keys` does.
    """
    if settings.master_key is not None:
        raise Conflict("WINDLASS_MASTER_KEY holds the master keys: put a new one first there, as ID:KEY.")
    path = key_file(settings)
    before = master_keys(settings).keys
    number = 1 + max((int(name[1:]) for name in before if re.fullmatch(r"k[0-9]{1,9}", name)), default=0)
    keys = {f"k{number}": new_key(), **before}
    lines = [f"{name}:{base64.b64encode(key).decode()}\n" for name, key in keys.items()]
    _write(
        path,
        "# Master keys of Windlass: without them nothing that is sealed can be read. Keep a copy elsewhere.\n",
        lines,
    )
    return path, f"k{number}"


def _read(text: str, place: str) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        name, colon, encoded = line.partition(":")
        if not colon or not _NAME.fullmatch(name) or name in keys:
            raise UserError(f"{place}: line {number} must be ID:KEY, with an id of its own such as k1.")
        try:
            key = base64.b64decode(encoded, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_SIZE:
            raise UserError(f"{place}: the key {name} must be {KEY_SIZE} bytes in Base64.")
        keys[name] = key
    return keys


def _text(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"The master keys in {path} cannot be read: {error.strerror}.") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > _LARGEST:
            raise UserError(f"{path} is no file of master keys.")
        if facts.st_mode & (stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP):
            raise Refused(f"Others can read or exchange the master keys in {path}: run `chmod 400 {path}`.")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(_LARGEST).decode()
    except UnicodeDecodeError:
        raise UserError(f"{path} is no file of master keys.") from None
    finally:
        os.close(descriptor)


def _write(path: Path, head: str, lines: list[str]) -> None:
    """Put the keys on the disk, whole or not at all, for their owner alone."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o400)
        try:
            os.write(descriptor, "".join([head, *lines]).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        new.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise Unavailable(f"The master key cannot be kept in {path}: {error.strerror}.") from error
    finally:
        with suppress(FileNotFoundError):
            new.unlink()
