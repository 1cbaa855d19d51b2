"""The jobs that an application has: by their aliases for submitting, by their paths for running."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from windlass.errors import Conflict
from windlass.sdk.definition import Definition, define
from windlass.steps import python_call


class Registry:
    """Definitions of one application."""

    def __init__(self) -> None:
        """Start empty."""
        self._by_job: dict[Any, Definition] = {}
        self._by_alias: dict[str, Definition] = {}
        self._targets: dict[str, Any] = {}

    def add(self, job: Any) -> Definition:
        """Return the definition of a job, made at the first time.

        Code that is defined again under its name takes the place of what it was. Raises UserError where `job` is none,
        Conflict where another job of the application has its alias.
        """
        known = self._by_job.get(job) if isinstance(job, Hashable) else None
        if known is not None:
            return known
        definition = define(job)
        other = self._by_alias.get(definition.alias)
        if other is not None and other.path != definition.path:
            raise Conflict(
                f'{definition.path} and {other.path} are both called "{definition.alias}": give one of them a `name`.'
            )
        if other is not None:
            self._by_job = {one: found for one, found in self._by_job.items() if found is not other}
        self._by_job[job] = self._by_alias[definition.alias] = definition
        self._targets[definition.path] = definition.target
        return definition

    def named(self, alias: str) -> Definition | None:
        """Return the job of the application with that alias, or None."""
        return self._by_alias.get(alias)

    def find(self, path: str) -> Any:
        """Return the code behind a path: the application's own, else what can be imported."""
        found = self._targets.get(path)
        return python_call.find(path) if found is None else found
