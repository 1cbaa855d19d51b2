"""Services: how a database is reached, by a name in a file that PostgreSQL's own programs read too."""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from windlass.errors import UserError
from windlass.model.did_you_mean import suggestion


def service_parameters(said: Mapping[str, str]) -> dict[str, str]:
    """Return what the service says that the parameters of a URL, or PGSERVICE, name; nothing where none is named.

    Raises UserError where there is no such service.
    """
    name = said.get("service") or os.environ.get("PGSERVICE")
    if not name:
        return {}
    known: set[str] = set()
    files = list(_files(said))
    for file in files:
        found = _read(file)
        if name in found:
            return dict(found[name])
        known.update(found.sections())
    hint = suggestion(name, known) or f" in {' or '.join(map(str, files))}."
    raise UserError(f'There is no service "{name}" of PostgreSQL{hint}')


def _files(said: Mapping[str, str]) -> Iterator[Path]:
    named = said.get("servicefile") or os.environ.get("PGSERVICEFILE")
    yield Path(named) if named else Path(os.environ.get("HOME") or "/") / ".pg_service.conf"
    folder = os.environ.get("PGSYSCONFDIR")
    if folder:
        yield Path(folder) / "pg_service.conf"


def _read(file: Path) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",), strict=False)
    try:
        found.read_string(file.read_text("utf-8"))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, configparser.Error):  # its text would show the line, and so a password
        raise UserError(f"The file {file} of PostgreSQL's services cannot be read.") from None
    return found
