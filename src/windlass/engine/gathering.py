"""Files of runs that go to an archive, from whatever homes they lie in: asked for there, and taken once they are kept.

No run leaves before each of its files is kept or was found gone by the home that had it, or that home was forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence

from windlass.engine.engine import Engine
from windlass.engine.errands import run_errands
from windlass.engine.looking_over import place_own
from windlass.engine.swept import Swept
from windlass.model.retention import FinalRun
from windlass.store.archive.archived_files import Content
from windlass.store.file_answers import covers, of_home, troubles
from windlass.store.file_errands import Answer, Errand, ask, asked_of, drop_asked, say_kept
from windlass.store.file_homes import home_address, homes
from windlass.store.file_places import placed_contents
from windlass.store.transaction import Transaction


async def runs_with_files(engine: Engine, url: str, runs: Sequence[FinalRun], swept: Swept) -> list[FinalRun]:
    """Ask the homes for the files of runs that go to an archive; return the runs whose files are all kept by now.

    We have the right to move runs. The others count as held, or as failed where a file is not what it was.
    """
    if engine.home is None:
        return list(runs)
    ids = [run.id for run in runs]
    await place_own(engine, ids)
    asked = await engine.store.run(_ask, url, ids)
    if asked:
        await run_errands(engine, asked, moving=True)
    ready = []
    for run, trouble in zip(runs, await engine.store.read(troubles, ids), strict=True):
        if trouble is None:
            ready.append(run)
        elif trouble:
            swept.failed += 1
        else:
            swept.held += 1
    return ready


def _ask(tx: Transaction, url: str, run_ids: Sequence[bytes]) -> list[bytes]:
    """Ask for the files of runs where they lie; return the runs that have any."""
    known = homes(tx)
    placed_of = placed_contents(tx, run_ids)
    for run_id, placed in placed_of.items():
        asked = asked_of(tx, run_id)
        for former in asked.keys() - {of_home(home) for home in placed}:
            drop_asked(tx, [run_id], former)
        for home, contents in placed.items():
            before = asked.get(of_home(home))
            if before is not None and before.archive == url and covers(before, contents):
                continue
            if before is not None and before.answer is not None:
                drop_asked(tx, [run_id], of_home(home))  # it is of another archive, or a file was kept anew since
            ask(tx, of_home(home), run_id, "archive", url)
            if home in known and known[home].forgotten_at is not None:
                say_kept(tx, home, Errand(run_id, "archive", url), gone(home, contents))
    return list(placed_of)


def gone(home: str, contents: Sequence[Content]) -> Answer:
    """Return the answer of a home that will not come back."""
    return Answer(home_address(home), frozenset(), frozenset(content.sha256 for content in contents))
