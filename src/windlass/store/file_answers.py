"""What homes have said of the files of runs that go to an archive, against what the runs have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from windlass.store.archive.archived_files import Content
from windlass.store.file_errands import UNKNOWN, Answer, Asked, asked_of
from windlass.store.file_places import placed_contents
from windlass.store.transaction import Transaction

#: What runs of the hot store have, by the home in which it lies.
_Placed = Mapping[str | None, Sequence[Content]]


def gathered(tx: Transaction, run_ids: Sequence[bytes]) -> dict[bytes, list[Content] | None]:
    """Return what was kept of runs, each content once, of those that have any; None where not all is said by now."""
    found: dict[bytes, list[Content] | None] = {}
    for run_id, placed in placed_contents(tx, run_ids).items():
        asked = asked_of(tx, run_id)
        kept: dict[str, Content] = {}
        for home, contents in placed.items():
            answer = _answer(asked.get(of_home(home)))
            if answer is not None:
                for content in contents:
                    if content.sha256 in answer.kept:
                        kept.setdefault(content.sha256, content._replace(place=answer.place))
        found[run_id] = list(kept.values()) if _is_said(placed, asked) else None
    return found


def troubles(tx: Transaction, run_ids: Sequence[bytes]) -> list[str | None]:
    """Return what keeps the files of each run: None where nothing does, an empty text where that is only time."""
    placed_of = placed_contents(tx, run_ids)
    found: list[str | None] = []
    for run_id in run_ids:
        asked = asked_of(tx, run_id) if run_id in placed_of else {}
        if _is_said(placed_of.get(run_id, {}), asked):
            found.append(None)
        else:
            found.append(next((one.trouble for one in asked.values() if one.trouble), ""))
    return found


def _is_said(placed: _Placed, asked: Mapping[str, Asked]) -> bool:
    return all(covers(asked.get(of_home(home)), contents) for home, contents in placed.items())


def covers(asked: Asked | None, contents: Sequence[Content]) -> bool:
    """Say whether a home has said of each content whether it is kept."""
    answer = _answer(asked)
    return answer is not None and all(content.sha256 in answer.kept | answer.gone for content in contents)


def _answer(asked: Asked | None) -> Answer | None:
    return None if asked is None else asked.answer


def of_home(home: str | None) -> str:
    """Return what a home is asked by, also where nobody knows it."""
    return UNKNOWN if home is None else home
