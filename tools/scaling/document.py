"""Writes docs/scaling.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from tools.scaling.costs import COSTS, MEASURED, SETTINGS, VERSIONS
from tools.scaling.reckoning import BUSY, DAY, KINDS, carried, databases, of_a_run
from tools.scaling.waiting import AWAY, BATCHES, BURST, PROCESSORS, RATES, SLOTS, WORK, WORKERS, server, waits

#: Runs a second of a million a minute.
MILLION: Final = 1_000_000 / 60
#: Processors of databases of usual sizes.
_SIZES: Final = (2, 8, 32)
_LARGE: Final = 16
#: Bytes of log that a good disk takes in a second.
_LOG: Final = 200e6
_GIGA: Final = 1e9
_PIECES: Final = tuple(name for name in COSTS if not name.startswith("a second"))
_IDLE: Final = "a second of an idle worker"


def render() -> str:
    """Return the document."""
    parts = (_BEGIN, _measured(), _one_database(), _waiting(), _a_million(), _BEYOND, _UNKNOWN)
    return "\n\n".join(parts)


_BEGIN: Final = """# Scaling

How much one PostgreSQL carries, and the way past it. Made by `make docs` from `tools/scaling`; change that, not
this file.

Three kinds of figures stand here, and each says which it is: **measured** on one small machine, **reckoned** from
those by multiplication, and **simulated** where multiplication does not do, because runs come in bursts and are
taken in batches. Nothing larger than two processors was measured."""


def _measured() -> str:
    rows = [
        (
            name,
            _round(cost.server),
            _round(cost.worker) if cost.worker else "-",
            _round(cost.submitter) if cost.submitter and "worked off" not in name and "vacuum" not in name else "-",
            _round(cost.log) if cost.log else "-",
            f"{cost.rows:.1f}" if cost.rows else "-",
            f"{cost.commits:.2f}" if cost.commits else "-",
        )
        for name, cost in COSTS.items()
        if name in _PIECES and not cost.stored
    ]
    kept = next(cost.stored for cost in COSTS.values() if cost.stored)
    idle = COSTS[_IDLE]
    return f"""## What a piece of work costs

**Measured** on {MEASURED}: {VERSIONS["machine"]}, PostgreSQL {VERSIONS["PostgreSQL"].split()[0]}, every commit flushed.
`make bench STORE=postgres ROW=costs` measures it anew and `python -m tools.scaling.taken` takes it in here.
Microseconds of processor time of all processes of PostgreSQL, of the worker, and of the process that submits; bytes of
the write-ahead log; rows that are inserted, updated or deleted; commits.

{_table(("piece", "PostgreSQL, us", "worker, us", "submitter, us", "log, bytes", "rows", "commits"), rows)}

A run that has ended takes {_round(kept)} bytes for good, indexes and events included, until it leaves for the
archive. "Many callers" are {SETTINGS["callers"]} that each wait for their own run; they share commits. The rows of
vacuum are what PostgreSQL does later to remove what is gone: it is part of the price. Log bytes are those of pages that
had been written since the last checkpoint; right after one, whole pages are written, which is several times as much for
a while. Output is stored compressed: lines that differ by a number only, as these do, become a tenth and less.

An idle worker costs PostgreSQL {_round(idle.server)} us a second, itself {_round(idle.worker)} us, and
{idle.commits:.1f} commits: every five seconds a sign of life (`WINDLASS_HEARTBEAT`), and each second a look at the
queue where no hint came, five where many workers share few connections. Of {SETTINGS["workers"]} such workers each
held {idle.connections:.1f} connections in the mean; [many share fewer](guide/workers.md#on-other-machines). A hundred
idle workers are {_round(idle.server * 100 / 1e4)} % of one processor of PostgreSQL. Of what has to be done by one alone
(timer, reconciler, storekeeper and others) one server does each, however many there are."""


def _one_database() -> str:
    rows = []
    for kind in KINDS:
        need = of_a_run(kind)
        rows.append(
            (
                kind.name,
                _round(need.server),
                *(f"{_round(carried(kind, size))}/s" for size in _SIZES),
                f"{_round(need.log * carried(kind, _SIZES[1]) / 1e6)} MB/s",
                f"{_round(need.stored * carried(kind, _SIZES[1]) * DAY / _GIGA)} GB",
            )
        )
    heads = (
        "run", "PostgreSQL, us", *(f"{size} processors" for size in _SIZES), f"log at {_SIZES[1]}",
        f"kept a day at {_SIZES[1]}",
    )  # fmt: skip
    by_log = ", ".join(_round(_LOG / of_a_run(kind).log) for kind in KINDS)
    return f"""## What one PostgreSQL carries

**Reckoned**: processors of the server, {BUSY:.0%} of them busy, divided by what a run costs from its submission to
its end, vacuum included; submitted in bulk and taken in batches, as both are when there is much to do.

{_table(heads, rows)}

That processors of one server add up is an assumption: what they share, the write-ahead log, locks of pages at the
head of an index, the flush of commits, was measured on two. What two workers on two processors reach beside one
stands in [performance](performance.md) as `drain2`. With many processors the log is the nearer bound: a disk that
takes {_LOG / 1e6:.0f} MB of it a second ends at {by_log} runs a second of these three kinds, and keeping a day of them
before that. At a flush of 1 ms one connection commits a thousand times a second, and each commit carries a batch.

What does not grow with runs: the claim of a batch is a look into one index, whatever the history holds. What grows:
history, until runs leave for the archive (`WINDLASS_RETENTION`). A transaction that is left open for long on the
same server keeps rows that are gone from being removed. Looks for ready tasks begin behind them, so that a claim
costs the same; a task that is older or more urgent than all that a worker found meanwhile it finds up to two seconds
later. But the tables grow by what is written until that transaction ends. Set `idle_in_transaction_session_timeout`
for whoever shares the server."""


def _waiting() -> str:
    found = waits()
    rows = [
        (
            f"{rate:,}",
            *(f"{_seconds(found[batch][rate].p50)}; {_seconds(found[batch][rate].p99)}" for batch in BATCHES),
        )
        for rate in RATES
    ]
    base = server()
    return f"""## How long runs wait for their start

**Simulated** by `tools/scaling/bursts.py`, with the costs above on {PROCESSORS} processors: runs come in bursts of
{BURST} in the mean (sizes geometric, times by chance), {WORKERS} workers with {SLOTS} slots each take them, and a
run takes {_seconds(WORK)} in the mean. An exchange of a worker with the database costs {base.exchange * 1e6:.0f} us
of a processor, whatever it does, {base.run * 1e6:.0f} us for each run, and {_seconds(AWAY)} in which the worker
waits for the way and the flush. A slot is free again only after the next exchange. No formula gives that: bursts
wait for each other, and what waits longer is taken in larger batches, which makes it cheaper.

![99 of 100 runs start within this time, by runs a second and size of a batch](images/bursts.svg)

Median and 99th of a hundred, by runs a second and the most that a worker takes at one time:

{_table(("runs a second", *(f"batches of {batch}" for batch in BATCHES)), rows)}

One at a time ends where each run pays for a whole exchange. Batches of a hundred are as good as larger ones: a
worker is handed what its slots can start, so its slots are the size of its batches."""


def _a_million() -> str:
    rows = []
    for kind in KINDS:
        need = of_a_run(kind).times(MILLION)
        rows.append(
            (
                kind.name,
                _round(need.server),
                str(databases(kind, MILLION, _LARGE)),
                _round(need.worker),
                f"{_round(need.log / 1e6)} MB/s",
                f"{need.stored * DAY / 1e12:.1f} TB",
            )
        )
    heads = (
        "run", "processors of PostgreSQL", f"databases of {_LARGE} processors",
        "processors of workers, without the work itself", "log", "kept a day",
    )  # fmt: skip
    return f"""## A million runs a minute

**Reckoned**: {MILLION:,.0f} runs a second, through the day. Databases are {BUSY:.0%} busy.

{_table(heads, rows)}"""


_BEYOND: Final = """Processors are the smaller part of it; what is written and kept is the larger. The way there:

1. **Let runs leave.** A day of history at that rate is more than most want in a database. `WINDLASS_RETENTION=1h`
   and an archive keep the hot tables small, and their indexes in memory; archiving costs reading each run once and
   deleting it.
2. **Several databases, by project.** A Windlass is one database with its servers and workers; nothing is shared
   between two of them. Projects that never wait for each other's runs may live apart: as many databases as the
   table says, each with workers of its own, and a submitter picks the URL by the project. Nothing is lost by that
   within a project: limits, order, waits and events are all in one database. Across them there is no common list,
   no common limit and no run that waits for another; who needs one view asks each (`statistics` of each, added up).
   Moving a project to another database is an export of its jobs and a change of the submitter's URL; its history
   stays where it was.
3. **Output elsewhere.** Output is stored in the database in chunks; at a hundred lines a run it is most of what is
   written. A step that writes much does better to write to an object store or a log service itself and keep the
   address as its output; `WINDLASS_LOG_QUOTA` bounds what any may write. An archive in a file system that is an
   object store takes old output off the database. Chunks of live output in an object store are not built.
4. **Replicas for reads.** Reports that read history in SQL belong on a streaming replica: they take no processor
   from the queue. A replica that answers queries with `hot_standby_feedback` holds back the removal of what is gone
   on the primary, as a long transaction does there; leave it off, and give reports a moment of patience
   (`max_standby_streaming_delay`). Servers of Windlass themselves read from the primary; lists answered by a
   replica are not built.
5. **Steps elsewhere.** Workers above are reckoned without the work itself. Steps in processes of their own cost a
   worker about a third of a millisecond each (`spawn` in [performance](performance.md)), which is five processors
   for a million a minute before they do anything. Workers hold no state and are added by starting them: in
   Kubernetes a deployment of `windlass worker` that a queue's length scales. A pod for each step starts in seconds
   and not at this rate: that is for few and heavy steps, and the step type for it is not built yet."""


_UNKNOWN: Final = """## What was not measured

More than two processors; disks that flush slower than a tenth of a millisecond with PostgreSQL; more than four busy
workers at once; a primary with a synchronous replica, where each commit waits for another machine: batches share
that wait as they share a flush. The processor times were taken while other programs used the same two processors:
shared caches make them larger than on a quiet machine, by up to a half."""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def _round(value: float) -> str:
    """Return a number with two or three digits that count."""
    if value >= 1000:  # noqa: PLR2004 - as it is read
        return f"{round(value, -2 if value >= 10_000 else -1):,.0f}"  # noqa: PLR2004 - as above
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"  # noqa: PLR2004 - as above


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.1f} s"
