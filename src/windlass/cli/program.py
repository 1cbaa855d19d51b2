"""What the command line asks of the program around it; `windlass.main` builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from windlass.client.client import Client
    from windlass.model.catalog import StepCatalog
    from windlass.settings import Settings
    from windlass.store.place import SchemaUse


class Program(Protocol):
    """Builds what commands need; everything is made when it is asked for, for most commands need little."""

    def version(self) -> str:
        """Return the version of Windlass."""
        ...

    def connect(
        self, settings: Settings, *, works: bool = False, schema: SchemaUse = "sufficient"
    ) -> AbstractContextManager[Client]:
        """Reach the owner of the store by its socket; where nobody owns it, own it here for as long as this lasts.

        With `works` runs are worked on meanwhile, whoever owns the store. With `schema` "brought up" a store in a
        database server is opened here in any case. Raises Unavailable where the store cannot be had within ten seconds,
        or where its schema is none that `schema` lets pass.
        """
        ...

    def reach(self, settings: Settings) -> Client | None:
        """Reach the process that owns the store and listens; None where there is none now."""
        ...

    def serve(self, settings: Settings, ready: Callable[[str], None]) -> None:
        """Own the store, serve it and work, until a signal asks to end; `ready` is told the address once work is taken.

        Raises Unavailable where another process owns the store.
        """
        ...

    def work(self, settings: Settings, app: str | None, ready: Callable[[str], None]) -> None:
        """Work for whoever owns the store, until a signal asks to end; `ready` is told the worker's name.

        `app` names an application of Python, `module:name`, whose jobs run in this process. Waits for an owner where
        there is none.
        """
        ...

    def backup(
        self, settings: Settings, target: Path, *, files: bool, tell: Callable[[str], None]
    ) -> Mapping[str, Any]:
        """Copy the store, whoever owns it, into a new folder; return what the copy says of itself.

        `files` takes along the files that runs kept; `tell` is told what is done.
        """
        ...

    def restore(self, settings: Settings, source: Path, *, tell: Callable[[str], None]) -> Mapping[str, Any]:
        """Put a backup in the place of the database; return what was done. Raises Unavailable where it has an owner."""
        ...

    def copy(self, settings: Settings, target: str, *, tell: Callable[[str], None]) -> Mapping[str, Any]:
        """Copy the store from SQLite to the database in PostgreSQL that the URL `target` names; return what was done.

        Raises Conflict where that is not empty, Unavailable where a server works on the store and not under
        maintenance.
        """
        ...

    def catalog(self) -> StepCatalog:
        """Return every step type that is known here."""
        ...

    def broken_step_types(self) -> Mapping[str, str]:
        """Return why installed step types cannot be used, by name."""
        ...

    def openapi(self) -> dict[str, object]:
        """Return the description of the API."""
        ...
