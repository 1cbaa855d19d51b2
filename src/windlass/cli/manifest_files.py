"""Which manifests the arguments of a command name: files, folders, globs, standard input."""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from windlass.errors import UserError
from windlass.model.printable import printable

#: Names that folders are searched for.
_SUFFIXES: Final = (".yaml", ".yml", ".json")
#: What a document of ours has at its top; written as YAML or as JSON.
_AT_START: Final = re.compile(
    rb"""^[ \t\xef\xbb\xbf{]*["']?(apiVersion|kind)["']?[ \t]*:""", re.MULTILINE | re.IGNORECASE
)
_INLINE: Final = re.compile(rb"""["'](apiVersion|kind)["'][ \t\r\n]*:""", re.IGNORECASE)
_WANTED: Final = ("apiVersion", "kind")
#: Bytes read of one file: larger ones are refused, whatever the limit of the settings.
_LARGEST: Final = 64 * 1024 * 1024
#: Characters of a path that a sentence shows.
_LONGEST_NAME: Final = 200
#: Files that a sentence names.
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A text with the name that findings show."""

    name: str
    data: bytes

    def text(self) -> str:
        """Return the text. Raises UserError where it is not UTF-8, or holds what no text holds."""
        try:
            text = self.data.decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{self._line(error.start)}: the file is not UTF-8; save it as UTF-8.") from None
        if "\0" in text:
            raise UserError(f"{self._line(self.data.index(0))}: the file holds a NUL character; is this a text file?")
        return text

    def _line(self, at: int) -> str:
        line = self.data.count(b"\n", 0, at) + 1
        return f"{self.name}:{line}"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file of a folder that is no manifest."""

    path: str
    why: str
    #: True where somebody seems to have meant it as one.
    doubtful: bool = False

    def __str__(self) -> str:
        """Return path and reason."""
        return f"{self.path}: {self.why}"


@dataclass(slots=True)
class Found:
    """The manifests that arguments name, and the files of folders that are none, each with what it is instead."""

    files: list[ManifestFile] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def find_manifests(arguments: Sequence[str]) -> Found:
    """Return the manifests that `arguments` name, each file once, folders in the order of their paths.

    A file that is named is taken as it is; below a folder only what has `apiVersion` and `kind` is.
    Raises UserError where an argument names nothing, or something cannot be read.
    """
    found = Found()
    seen: set[str] = set()
    for argument in arguments:
        for path, named in _paths(argument):
            key = "-" if argument == "-" else os.path.realpath(path)
            if key in seen:
                continue
            seen.add(key)
            if not named and not os.path.exists(path):  # noqa: PTH110 - paths stay as they were written
                found.left_out.append(LeftOut(printable(path), "it is a link that leads nowhere", doubtful=True))
                continue
            data = _read(path)
            left_out = None if named else _left_out(path, data)
            if left_out is None:
                found.files.append(ManifestFile(printable(path), data))
            else:
                found.left_out.append(left_out)
    if not found.files:
        asked = ", ".join(map(shown_path, arguments))
        shown = "; ".join(map(str, found.left_out[:_NAMED]))
        more = len(found.left_out) - _NAMED
        hint = f" ({shown}{f'; and {more} more files' if more > 0 else ''})" if shown else ""
        raise UserError(f"There is no manifest in {asked}{hint}.")
    return found


def read_text(path: str) -> str:
    """Return the text of a file, or of standard input where it is `-`.

    Raises UserError where it cannot be read or is no text.
    """
    return ManifestFile(printable(path), _read(path)).text()


def shown_path(path: str) -> str:
    """Return a path as a sentence names it: on one line, and no longer than one reads."""
    return printable(path if len(path) <= _LONGEST_NAME else f"{path[:_LONGEST_NAME]}...")


def _paths(argument: str) -> Iterator[tuple[str, bool]]:
    """Yield the files that an argument names; True with those that are named one by one."""
    if argument == "-":
        yield argument, True
        return
    if os.path.isdir(argument):  # noqa: PTH112 - paths stay as they were written, for findings
        yield from ((path, False) for path in _below(argument))
        return
    if not os.path.lexists(argument) and glob.has_magic(argument):
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - paths stay as they were written
        if not matches:
            raise UserError(f"No file matches {shown_path(argument)}.")
        for match in matches:
            if os.path.isdir(match):  # noqa: PTH112 - as above
                yield from ((path, False) for path in _below(match))
            else:
                yield match, True
        return
    yield argument, True


def _below(folder: str) -> Iterator[str]:
    """Yield the files below a folder that may be manifests, in the order of their paths; nothing that is hidden."""

    def fail(error: OSError) -> None:
        raise UserError(f"{shown_path(error.filename)}: {error.strerror}.")

    for place, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(place, name)  # noqa: PTH118 - paths stay as they were written
            if name.endswith(_SUFFIXES) and not name.startswith(".") and not _is_special(path):
                yield path


def _is_special(path: str) -> bool:
    """Say whether a path leads to a pipe, a socket or a device: no manifest is kept in one."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - paths stay as they were written
    except OSError:
        return False  # reading it says what is wrong
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _read(path: str) -> bytes:
    """Return the bytes of a file, or of standard input. Raises UserError where they cannot be had or are too many."""
    if not path:
        raise UserError("An empty name stands where a file belongs; give a file, a folder, a glob, or -.")
    shown = shown_path(path)
    try:
        data = sys.stdin.buffer.read(_LARGEST + 1) if path == "-" else _contents(path, shown)
    except OSError as error:
        raise UserError(f"{shown}: {error.strerror}.") from None
    if len(data) > _LARGEST:
        raise UserError(f"{shown}: this is no manifest, it has more than {_LARGEST:,} bytes.")
    return data


def _contents(path: str, shown: str) -> bytes:
    """Return what a file holds; a pipe is read to its end, but nobody waits for one that nobody writes into."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    with open(fd, "rb") as file:  # noqa: PTH123 - a descriptor has no path
        first = b""
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            with suppress(BlockingIOError):
                first = os.read(fd, _LARGEST)
                if not first:
                    raise UserError(f"{shown}: this is a pipe, and nobody writes into it.")
        os.set_blocking(fd, True)
        return first + file.read(_LARGEST + 1 - len(first))


def _left_out(path: str, data: bytes) -> LeftOut | None:
    """Return why a file of a folder is no manifest, as far as can be told without reading it; None where it is one."""
    at_start = {found[1].decode() for found in _AT_START.finditer(data)}
    inline = {found[1].decode() for found in _INLINE.finditer(data)}
    for keys in (at_start, inline):
        if keys.issuperset(_WANTED):
            return None
    missing = [name for name in _WANTED if name not in at_start]
    near = sorted(key for key in at_start.difference(_WANTED) if key.lower() in {name.lower() for name in missing})
    why = f"it has no {' and '.join(missing)}"
    if near:
        why += f"; {', '.join(near)} is written otherwise"
    return LeftOut(printable(path), why, doubtful=bool(near) or len(missing) < len(_WANTED))
