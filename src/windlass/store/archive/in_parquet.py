"""The archive in Parquet files, for programs that read columns: a file a table, in a folder a day.

What is written of a run is made into its document again when it is read, byte by byte: the same digest proves both.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import orjson
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from sqlalchemy import Column, Integer, LargeBinary

from windlass.errors import CorruptStore, Unavailable
from windlass.store.archive.archive import Entry, Kept, Piece
from windlass.store.archive.days import NAME, UNFINISHED, DayFiles
from windlass.store.archive.document import FORMAT, PARTS, bytes_of_data, head_line, row_line
from windlass.store.archive.trying import exists
from windlass.store.migrations import HEAD
from windlass.store.tables import metadata

SUFFIX: Final = ".parquet"
_RUN: Final = {part.table: part.run for part in PARTS}
_TIMES: Final = re.compile(r"(.*_)?at|deadline")
_NAME: Final = re.compile(rf"({NAME})\.(?:{'|'.join(_RUN)}){re.escape(SUFFIX)}")
#: Groups of rows that are held while runs are read one after the other: one a table, and one more.
_HELD: Final = len(PARTS) + 1


@dataclass(slots=True)
class _OpenDay:
    """The files that are being written for the runs that ended on one day."""

    #: Relative to the folder, as they will be, without table and suffix.
    name: str
    writers: dict[str, pq.ParquetWriter] = field(default_factory=dict)
    #: Bytes of each run's document.
    runs: dict[bytes, int] = field(default_factory=dict)


class ParquetArchive(DayFiles[_OpenDay]):
    """See `Archive`."""

    async def read(self, run_id: bytes, place: str) -> AsyncIterator[bytes]:
        """Yield the document of a run; see `Archive.read`."""
        parts = self._parts(run_id.hex(), place)
        while (part := await asyncio.to_thread(next, parts, None)) is not None:
            yield part

    def _write(self, pieces: Sequence[Piece]) -> None:
        days: dict[str, _OpenDay] = {}
        rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for piece in pieces:
            day = self._day(piece)
            days[day.name] = day
            before = day.runs.get(piece.run_id, 0) if piece.number else 0
            day.runs[piece.run_id] = before + len(piece.data)
            for line in piece.data.splitlines():
                found = orjson.loads(line)
                if isinstance(found, list):
                    table, values = found
                    if table == "log_chunks" and "data" in values:
                        values["data"] = bytes_of_data(values["data"])
                    rows.setdefault((day.name, table), []).append(values)
        for (name, table), values in rows.items():
            schema = _schema(table)
            self._writer(days[name], table).write_table(pa.Table.from_pylist(values, schema))

    def _writer(self, day: _OpenDay, table: str) -> pq.ParquetWriter:
        writer = day.writers.get(table)
        if writer is None:
            path, descriptor = self._create(f"{day.name}.{table}{SUFFIX}")
            os.close(descriptor)
            writer = day.writers[table] = pq.ParquetWriter(str(path), _schema(table), compression="zstd")
        return writer

    def _begin(self, name: str) -> _OpenDay:
        return _OpenDay(name)

    def _seal_day(self, day: _OpenDay, kept: dict[bytes, Kept]) -> None:
        size = 0
        for table, writer in day.writers.items():
            writer.close()
            final = self._folder / f"{day.name}.{table}{SUFFIX}"
            unfinished = final.with_name(final.name + UNFINISHED)
            descriptor = os.open(unfinished, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
                size += os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
            unfinished.rename(final)
        self._flush_folder(day.name)
        whole = sum(day.runs.values())
        for run_id, part in day.runs.items():
            kept[run_id] = Kept(day.name, size * part // whole)

    def _name(self, name: str) -> str:
        return name

    def _paths(self, name: str) -> list[str]:
        return [f"{name}.{part.table}{SUFFIX}" for part in PARTS]

    def _known_by(self, path: str) -> str | None:
        found = _NAME.fullmatch(path)
        return None if found is None else found[1]

    def _entries(self, name: str) -> list[Entry]:
        path = self._folder / f"{name}.{PARTS[0].table}{SUFFIX}"
        if not exists(path):
            return []
        try:
            runs = pq.read_table(path, columns=[PARTS[0].run]).column(0).to_pylist()
            size = sum(one.stat().st_size for each in self._paths(name) if exists(one := self._folder / each))
        except (pa.ArrowException, OSError) as error:
            raise CorruptStore(f"The archive's file {path} is damaged: {' '.join(str(error).split())}.") from error
        return [Entry(bytes.fromhex(run), name, size // len(runs)) for run in runs]

    def _parts(self, run: str, place: str) -> Iterator[bytes]:
        """Yield the document of a run from its files; nothing where they are gone."""
        begun = False
        for part in PARTS:
            path = self._folder / f"{place}.{part.table}{SUFFIX}"
            if not exists(path):
                continue
            try:
                facts = path.stat()
                key = (str(path), facts.st_mtime_ns, facts.st_size)
                if not begun:
                    begun = True
                    yield head_line(run, *_said(key))
                for number in range(_groups(key)):
                    rows = _group(key, number, part.run).rows(run)
                    if rows:
                        yield b"".join(row_line(part.table, values) for values in rows)
            except pa.ArrowException as error:
                raise CorruptStore(f"The archived run is damaged: {' '.join(str(error).split())}.") from error
            except OSError as error:
                if error.errno is None:  # what pyarrow says of a file that is none of its own
                    raise CorruptStore(f"The archived run is damaged: {' '.join(str(error).split())}.") from error
                raise Unavailable(f"The archive's file {path} cannot be read: {error.strerror}.") from error


#: A file, when it was changed last and its size: what was read of another one is not taken for its own.
_Key = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class _Group:
    """Some rows of a table, and where in them those of each run are: they stand side by side."""

    table: pa.Table
    places: Mapping[str, tuple[int, int]]

    def rows(self, run: str) -> list[dict[str, Any]]:
        """Return the rows of a run, without what is null in them."""
        begin, length = self.places.get(run, (0, 0))
        found = self.table.slice(begin, length).to_pylist() if length else []
        return [{name: value for name, value in row.items() if value is not None} for row in found]


@lru_cache(maxsize=_HELD)
def _said(key: _Key) -> tuple[int, str]:
    """Return the format and the schema that a file was written in."""
    said = pq.read_schema(key[0]).metadata or {}
    if int(said.get(b"windlass.format", b"0")) != FORMAT:
        raise CorruptStore("The archived run was written by a newer Windlass: install that one.")
    return FORMAT, said[b"windlass.schema"].decode()


@lru_cache(maxsize=_HELD)
def _groups(key: _Key) -> int:
    return int(pq.ParquetFile(key[0]).num_row_groups)


@lru_cache(maxsize=_HELD)
def _group(key: _Key, number: int, run: str) -> _Group:
    table = pq.ParquetFile(key[0]).read_row_group(number)
    plain = pa.schema([_plain(one) for one in table.schema])
    table = table.cast(plain)
    places: dict[str, tuple[int, int]] = {}
    for place, one in enumerate(table.column(run).to_pylist()):
        begin, length = places.get(one, (place, 0))
        places[one] = (begin, length + 1)
    return _Group(table, places)


def _plain(one: pa.Field) -> pa.Field:
    return one.with_type(pa.int64()) if pa.types.is_timestamp(one.type) else one


@lru_cache(maxsize=len(PARTS))
def _schema(table: str) -> pa.Schema:
    """Return the columns of a table: ids as hexadecimal text, times as such, and what a log holds as bytes."""
    said = {"windlass.format": str(FORMAT), "windlass.schema": HEAD, "windlass.table": table}
    return pa.schema([(column.name, _type(table, column)) for column in metadata.tables[table].columns], metadata=said)


def _type(table: str, column: Column[Any]) -> pa.DataType:
    if isinstance(column.type, LargeBinary):
        return pa.binary() if (table, column.name) == ("log_chunks", "data") else pa.string()
    if isinstance(column.type, Integer):  # and those that are larger or smaller
        return pa.timestamp("us", tz="UTC") if _TIMES.fullmatch(column.name) else pa.int64()
    return pa.string()
