"""What a waiting task keeps begins with the run that it waits for, where it waits for one."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put the child first in the rows that wait for one; a key that a user named so stays where it is."""
    connection = op.get_bind()
    queue = sa.table("queue", sa.column("id"), sa.column("state"), sa.column("detail"))
    found = sa.select(queue.c.id, queue.c.detail).where(queue.c.state == "waiting", queue.c.detail.like('%"child":"%'))
    for row, text in connection.execute(found).fetchall():
        detail = json.loads(text)
        if "child" in detail:
            first = json.dumps({"child": detail["child"]} | detail, separators=(",", ":"), ensure_ascii=False)
            connection.execute(queue.update().where(queue.c.id == row).values(detail=first))
