"""Sessions that hold the store and say nothing: PostgreSQL waits for the rest of a message until a limit of its own.

The limit for transactions that do nothing counts only between statements. Between preparing a statement and running it
a session counts as busy, though it waits for its client; where that one stands still, or its machine is gone, all who
need the lock of the store would wait for the limit of a statement, which must be long enough for honest work.
"""

from __future__ import annotations

from typing import Any, Final

#: Seconds after which a session that waits for its client in the middle of a statement is given up.
SILENCE: Final = 10.0
#: Sessions of the same user only, for nobody else may end them; `objid` and `classid` are the halves of the lock's key.
_CUT_OFF: Final = """
SELECT pg_terminate_backend(s.pid)
  FROM pg_stat_activity AS s JOIN pg_locks AS l ON l.pid = s.pid AND l.database = s.datid
 WHERE s.datname = current_database() AND s.usename = current_user AND s.pid <> pg_backend_pid()
   AND s.state = 'active' AND s.wait_event_type = 'Client' AND s.wait_event = 'ClientRead'
   AND s.state_change < clock_timestamp() - make_interval(secs => $1)
   AND l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = $2 AND l.objsubid = 1
"""


async def cut_off_silent(connection: Any, lock: int) -> int:
    """End the sessions that hold the advisory `lock` and wait for their client in a statement; return how many.

    What they did in their transaction is undone by the server; who still lives of them does it again.
    """
    return len(await connection.fetch(_CUT_OFF, SILENCE, lock))
