"""The sources of secrets that a process has, as its settings say it."""

from __future__ import annotations

from collections.abc import Mapping

from windlass.engine.engine import Engine
from windlass.engine.secret import Secrets
from windlass.engine.secrets.environment import EnvironmentSecrets
from windlass.engine.secrets.file import FileSecrets
from windlass.engine.secrets.stored import StoredSecrets


def secrets_of(engine: Engine, environ: Mapping[str, str]) -> Secrets:
    """Return what resolves secrets out of the store, of `environ` and of files, as far as the settings let anybody."""
    settings = engine.settings
    allowed = ("*",) if settings.secret_env is None else settings.secret_env
    return Secrets(
        {
            "env": EnvironmentSecrets(environ, allowed),
            "file": FileSecrets(settings.secret_dirs),
            "store": StoredSecrets(engine),
        }
    )
