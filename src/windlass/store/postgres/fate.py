"""What came of a transaction whose commit was not answered: asked of the database, never guessed.

PostgreSQL keeps by the number of a transaction whether it was committed. But a server that was killed may give out a
number again: one whose transaction had not reached its log in time is unknown to it, and the next one gets it. Then
`committed` is said of somebody else's work. The same is true of a replica that has taken the server's place without
having heard of the transaction. So more is asked: whether the server has recovered from a crash since the transaction
began, or goes on with another timeline than that of then, as a replica does; and if so, which number it went on with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from windlass.store.postgres.troubles import sqlstate

#: Which history of the database this is: eight digits that are others once a replica has taken over.
TIMELINE: Final = "left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)"
#: What PostgreSQL calls a transaction with a number that it has not given out.
_IN_THE_FUTURE: Final = "22023"
#: A recovery from a crash sets all figures of use back, and notes when; whoever does so by hand names one kind of them.
_STATUS: Final = (
    "SELECT pg_xact_status('{number}'::xid8), "  # noqa: S608 - numbers and digits of our own
    "extract(epoch FROM least(w.stats_reset, b.stats_reset)) * 1000000 > {began}, "
    f"{TIMELINE} <> '{{timeline}}' "
    "FROM pg_stat_wal AS w, pg_stat_bgwriter AS b"
)
#: A recovery ends with a checkpoint, which says what it goes on with. One that has no record between where it begins
#: and itself was made while nobody worked, and the server was not started again since: so it is that one.
_RECOVERY: Final = (
    "SELECT split_part(next_xid, ':', 1)::bigint * 4294967296 + split_part(next_xid, ':', 2)::bigint, "  # noqa: S608 - constants
    "redo_lsn = checkpoint_lsn AND stats_reset > pg_postmaster_start_time(), "
    # A replica goes on before its first checkpoint: until then this one tells of the time before.
    f"{TIMELINE} = lpad(upper(to_hex(timeline_id)), 8, '0') "
    "FROM pg_control_checkpoint(), pg_stat_wal"
)


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the last checkpoint of a server says that has recovered from a crash, or has taken another one's place."""

    #: All numbers below were known to the log by then.
    next_number: int
    #: Whether it is the checkpoint with which the recovery ended: no number below was given out again.
    first: bool


def fate(number: int, status: str | None, recovery: Recovery | None) -> bool | None:
    """Say whether a transaction was committed; None where that is not known, now or at all.

    `status` is what the database says of its number, `recovery` what it says of itself; None where it is the server of
    then, without a crash since.
    """
    if status == "aborted":
        return False
    if recovery is not None and number >= recovery.next_number:
        return False  # whoever bears the number now got it after the crash
    if status != "committed":
        return None
    return True if recovery is None or recovery.first else None


async def ask_fate(raw: Any, number: int, began: int, timeline: str) -> bool | None:
    """Ask by the connection `raw` what came of a transaction that began at `began`, in microseconds of the database.

    `timeline` is what `TIMELINE` was then. None where it is not over, or cannot be known.

    Raises what the driver raises.
    """
    recovery = None
    async with raw.transaction():
        try:
            status, crashed, moved = await raw.fetchrow(_STATUS.format(number=number, began=began, timeline=timeline))
        except Exception as error:
            if sqlstate(error) == _IN_THE_FUTURE:
                return False  # a server that was killed does not know it any more
            raise
        if crashed or moved:
            next_number, first, told = await raw.fetchrow(_RECOVERY)
            if not told:
                return None
            recovery = Recovery(next_number, first=first and not moved)
    return fate(number, status, recovery)
