"""Secret references and the contract of what resolves them.

A reference is `secret://SOURCE/REST`. It is resolved by the worker for the time of one attempt; the value is masked in
all that the attempt writes, and is never stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from windlass.errors import WindlassError

if TYPE_CHECKING:
    from windlass.engine.claim import Claim

SCHEME = "secret://"


class SecretUnavailable(WindlassError):
    """A secret cannot be had: there is none of that name, it may not be read, or its source does not answer."""


class SecretSource(Protocol):
    """Where secrets of one kind come from."""

    async def resolve(self, path: str, project: str) -> str:
        """Return the secret behind `path`, the text after `secret://SOURCE/`, for a job of `project`.

        Raises SecretUnavailable with one sentence that never holds a value.
        """
        ...


class Secrets:
    """Resolves references by the source that each names."""

    def __init__(self, sources: Mapping[str, SecretSource]) -> None:
        """Know `sources` by the name that stands after `secret://`."""
        self._sources = dict(sources)

    async def secrets(self, claim: Claim, references: Sequence[str]) -> Mapping[str, str]:
        """Return the value of each reference of an attempt; see `windlass.engine.queue.Secretary`."""
        return await self.resolve(references, claim.job.project)

    async def resolve(self, references: Iterable[str], project: str) -> dict[str, str]:
        """Return the value of each reference. Raises SecretUnavailable at the first one that cannot be had."""
        values: dict[str, str] = {}
        for reference in references:
            if reference not in values:
                name, _, path = reference.removeprefix(SCHEME).partition("/")
                source = self._sources.get(name)
                if source is None:
                    known = ", ".join(sorted(self._sources))
                    raise SecretUnavailable(
                        f"{reference}: there is no source of secrets called {name!r} here; known: {known}."
                    )
                values[reference] = await source.resolve(path, project)
        return values
