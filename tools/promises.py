"""Says which promises of docs/promises.md the last whole run of the suite kept: one line for each."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
DOCUMENT: Final = ROOT / "docs" / "promises.md"
RESULTS: Final = ROOT / ".promises" / "results.json"

STORES: Final = ("sqlite", "postgres", "memory")
FACES: Final = ("cli", "api", "sdk", "console", "web")

_ROW = re.compile(r"^\| ([A-Z]\d\d) \| (.+?) \| ([a-z ]+?)(?:: ([^|]+?))? \|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Promise:
    """One numbered promise."""

    id: str
    text: str
    #: Stores and faces that tests must have used.
    needs: tuple[str, ...]
    #: What must be shown each by tests of its own, empty where the promise is of one piece.
    parts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TestResult:
    """How one test of the last whole run ended."""

    __test__ = False

    nodeid: str
    outcome: str
    promises: tuple[str, ...]
    #: Stores and faces that it used.
    through: frozenset[str]
    #: True where it needs files that lie outside the project.
    originals: bool
    #: Promise and part, such as `("C14", "processes")`.
    parts: frozenset[tuple[str, str]] = frozenset()

    @property
    def counts(self) -> bool:
        """Whether the test says anything about a promise."""
        return self.outcome != "skipped" and not self.originals


def read_promises(markdown: str) -> tuple[Promise, ...]:
    """Return the promises in the tables of `markdown`, in order. Raises ValueError on a need that nothing meets."""
    promises = tuple(
        Promise(id_, text, tuple(needs.split()), tuple(parts.split(", ")) if parts else ())
        for id_, text, needs, parts in _ROW.findall(markdown)
    )
    for promise in promises:
        if unknown := set(promise.needs) - {*STORES, *FACES}:
            raise ValueError(
                f"docs/promises.md: {promise.id} needs {', '.join(sorted(unknown))}, which is no store or face"
            )
    return promises


def read_results(document: Mapping[str, Any]) -> tuple[TestResult, ...]:
    """Return the tests of a result file."""
    return tuple(
        TestResult(
            nodeid=test["nodeid"],
            outcome=test["outcome"],
            promises=tuple(test["promises"]),
            through=frozenset((*test["stores"], *test["faces"])),
            originals=test["originals"],
            parts=frozenset((id_, part) for id_, part in test["parts"]),
        )
        for test in document["tests"]
    )


def verdict(promise: Promise, tests: Sequence[TestResult]) -> str:
    """Return the line about `promise`, given the tests that carry its number.

    It is `kept`, or kept in `part` where what is there passed and more is to come, or `open`.
    """
    counted = [test for test in tests if test.counts]
    if not counted:
        return f"{promise.id} open: no test yet"
    number = f"{len(counted)} test{'s' if len(counted) > 1 else ''}"
    if failed := [test for test in counted if test.outcome != "passed"]:
        return f"{promise.id} open: {len(failed)} of {number} failed"
    through = _through(counted)
    seen = _in_order(through)
    shown = f"{number}: {seen}" if seen else number
    missing = set(promise.needs) - through
    lacking = [f"missing {_in_order(missing)}"] if missing else []
    to_come = []
    for part in promise.parts:
        own = [test for test in counted if (promise.id, part) in test.parts]
        if not own:
            to_come.append(part)
        elif less := set(promise.needs) - _through(own) - missing:
            lacking.append(f"{part} without {_in_order(less)}")
    if to_come:
        lacking.append("to come: " + ", ".join(to_come))
    if not lacking:
        return f"{promise.id} kept {shown}"
    begun = set(promise.needs) & through and len(to_come) < max(len(promise.parts), 1)
    return f"{promise.id} {'part' if begun else 'open:'} {shown}; {'; '.join(lacking)}"


def _through(tests: Sequence[TestResult]) -> frozenset[str]:
    return frozenset[str]().union(*(test.through for test in tests))


def _in_order(names: Collection[str]) -> str:
    return " ".join(name for name in (*STORES, *FACES) if name in names)


def lines(promises: Sequence[Promise], tests: Sequence[TestResult]) -> list[str]:
    """Return the line about each of `promises`, in their order."""
    by_promise = defaultdict[str, list[TestResult]](list)
    for test in tests:
        for id_ in test.promises:
            by_promise[id_].append(test)
    return [verdict(promise, by_promise[promise.id]) for promise in promises]


def state_of_tree() -> tuple[str | None, bool]:
    """Return the commit that is checked out, None outside Git, and whether files differ from it."""
    try:
        commit = _git("rev-parse", "HEAD").strip()
        return commit, bool(_git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return None, True


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout  # noqa: S607 - git is wherever the system has it


def main() -> int:
    """Print all promises; say on standard error which run that is about."""
    try:
        document = json.loads(RESULTS.read_text())
    except FileNotFoundError:
        print("promises: there is no result of a whole run yet; `make test` makes one", file=sys.stderr)
        return 2
    tests = read_results(document)
    run = f"{len(tests)} tests of commit {(document['commit'] or 'unknown')[:12]}"
    if document["changed"]:
        run += " with uncommitted changes"
    commit, changed = state_of_tree()
    if (commit, changed) != (document["commit"], document["changed"]):
        run += ", not what is checked out now"
    print(f"promises: {run}", file=sys.stderr)
    said = lines(read_promises(DOCUMENT.read_text()), tests)
    print("\n".join(said))
    counts = Counter(line.split()[1].rstrip(":") for line in said)
    print(f"promises: {counts['kept']} kept, {counts['part']} in part, {counts['open']} open", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
