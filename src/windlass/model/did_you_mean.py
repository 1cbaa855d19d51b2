"""The known word that somebody most likely meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

#: Words longer than this are no typing mistakes, and comparing them costs time.
_LONGEST = 64
#: Among more words than this no likely one is looked for.
_MOST = 1000
#: Words by which other systems call what stands under another name here, without case, dashes and underscores.
_ELSEWHERE: Final[dict[str, frozenset[str]]] = {
    ours: frozenset(words.split())
    for ours, words in {
        "dependsOn": "needs depends dependencies after requires upstream upstreams runafter",
        "run": "script scripts cmd bash sh exec inlinescript",
        "when": "if condition runif",
        "env": "environment variables vars envvars",
        "workdir": "workingdirectory workingdir cwd dir chdir",
        "retry": "attempts maxattempts maxretries tries retrypolicy",
        "timeout": "timeoutminutes timeoutseconds deadline executiontimeout activedeadlineseconds",
        "allowFailure": "ignoreerrors ignoreerror ignorefailure",
        "matrix": "foreach loop withitems strategy",
        "triggers": "schedule schedules cron on",
        "parameters": "inputs params arguments args",
        "steps": "tasks stages jobs nodes",
        "name": "id key taskid",
        "alias": "name id slug",
        "maxParallelTasks": "parallelism maxparallel maxactivetasks",
    }.items()
}


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word nearest to `word`, or None where none is near."""
    if len(word) > _LONGEST:
        return None
    names = list(islice(known, _MOST + 1))
    if len(names) > _MOST:
        return None
    plain = {_plain(name): name for name in reversed(names)}
    if _plain(word) in plain:
        return plain[_plain(word)]
    ours = next((name for name, words in _ELSEWHERE.items() if name in names and _plain(word) in words), None)
    if ours is not None:
        return ours
    near = get_close_matches(_plain(word), plain, n=1, cutoff=0.65)
    return plain[near[0]] if near else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean "x"?`, or nothing where no known word is near."""
    near = closest(word, known)
    return f'; did you mean "{near}"?' if near else ""


def _plain(word: str) -> str:
    """Return a word without what people get wrong most: case, dashes, underscores."""
    return word.lower().replace("_", "").replace("-", "")
