"""Secrets from the worker's own environment: `secret://env/NAME`, where the settings list the name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from windlass.engine.secret import SecretUnavailable


class EnvironmentSecrets:
    """Gives the variables that `allowed` (globs) names, and never one of Windlass itself."""

    def __init__(self, environment: Mapping[str, str], allowed: Sequence[str]) -> None:
        """Read from `environment`; a variable must match one of `allowed`."""
        self._environment = environment
        self._allowed = tuple(allowed)

    async def resolve(self, path: str, project: str) -> str:  # noqa: ARG002 - the same for every project
        """Return a variable; path segments are joined with `_`, as the original has it."""
        name = path.replace("/", "_")
        if name.startswith("WINDLASS_") or not any(fnmatchcase(name, glob) for glob in self._allowed):
            raise SecretUnavailable(
                f"secret://env/{path}: the worker may not give {name} to steps; name it in WINDLASS_SECRET_ENV."
            )
        value = self._environment.get(name)
        if value is None:
            raise SecretUnavailable(f"secret://env/{path}: the worker's environment has no variable {name}.")
        return value
