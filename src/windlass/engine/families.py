"""Parents of runs, up to the root."""

from __future__ import annotations

from windlass.engine.engine import Engine
from windlass.errors import LimitExceeded
from windlass.store import relations
from windlass.store.transaction import Transaction


def root_below(tx: Transaction, engine: Engine, parent_id: bytes) -> bytes:
    """Return the root of the runs that a child of `parent_id` belongs to.

    Raises LimitExceeded where the chain of parents would get too long.
    """
    chain = relations.ancestors(tx, parent_id, engine.settings.max_child_depth + 1)
    if len(chain) > engine.settings.max_child_depth:
        raise LimitExceeded("Depth of runs that start runs", len(chain), engine.settings.max_child_depth)
    return chain[-1]
