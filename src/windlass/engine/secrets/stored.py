"""Secrets that the store keeps itself: `secret://store/NAME`, of the project that the job belongs to."""

from __future__ import annotations

from windlass.engine.engine import Engine
from windlass.engine.sealing.box import Unsealable
from windlass.engine.sealing.rotating import about_secret
from windlass.engine.secret import SecretUnavailable
from windlass.errors import UserError
from windlass.store.secrets import sealed_secret
from windlass.store.transaction import Transaction


class StoredSecrets:
    """Opens the secrets of a store for the attempts of one process."""

    def __init__(self, engine: Engine) -> None:
        """Read from the store of an engine, with its keys."""
        self._engine = engine

    async def resolve(self, path: str, project: str) -> str:
        """Return the newest value; see `windlass.engine.secret.SecretSource`."""
        try:
            return await self._engine.store.read(self._open, path, project)
        except (Unsealable, UserError) as error:
            raise SecretUnavailable(f"secret://store/{path}: {error}") from error

    def _open(self, tx: Transaction, name: str, project: str) -> str:
        value = sealed_secret(tx, project, name)
        if value is None:
            raise SecretUnavailable(
                f'secret://store/{name}: project "{project}" has no secret of this name; '
                f"`windlass secret set {name}` makes it."
            )
        return self._engine.keyring.unseal(tx, value.sealed, about_secret(value)).decode()
