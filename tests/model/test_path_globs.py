"""Which files a glob names."""

from __future__ import annotations

import pytest

from windlass.model.path_globs import PathGlobs


def matches(glob: str, path: str) -> bool:
    globs = PathGlobs([glob])
    state = globs.start()
    *folders, name = path.split("/")
    for folder in folders:
        state = globs.inside(globs.step(state, folder))
    return bool(globs.matching(globs.step(state, name)))


@pytest.mark.parametrize(
    ("glob", "hits", "misses"),
    [
        ("report.csv", ["report.csv"], ["a/report.csv", "report.csv.gz", "reportxcsv"]),
        ("out/*.csv", ["out/a.csv"], ["out/b/a.csv", "a.csv", "out/.a.csv"]),
        ("out/**/*.csv", ["out/a.csv", "out/b/c/a.csv"], ["a.csv", "out/.b/a.csv"]),
        ("**/*.log", ["a.log", "b/a.log"], [".b/a.log", "a.txt"]),
        ("**", ["a", "b/a", "b/c/a"], [".a", "b/.a"]),
        ("out", ["out", "out/a", "out/b/.c"], ["outer/a"]),
        ("out/", ["out/a", "out/b/c"], ["outer/a"]),
        ("./out/a", ["out/a"], ["a"]),
        ("o?t/[ab]", ["out/a", "oat/b"], ["out/c", "ot/a"]),
        (".cache/*", [".cache/a"], ["cache/a", ".cache/.a"]),
        ("**/b/**/c", ["b/c", "a/b/c", "a/b/x/y/c"], ["a/c", "b/d"]),
        ("/etc/*", [], ["etc/passwd"]),
        ("../x", [], ["x", "../x"]),
        ("", [], ["a"]),
    ],
)
def test_globs(glob: str, hits: list[str], misses: list[str]) -> None:
    assert [path for path in hits if not matches(glob, path)] == []
    assert [path for path in misses if matches(glob, path)] == []


def test_only_folders_are_entered_in_which_something_can_match() -> None:
    globs = PathGlobs(["out/*.csv", "logs/**"])
    assert globs.step(globs.start(), "out")
    assert not globs.step(globs.start(), "node_modules")
    assert not globs.step(globs.step(globs.start(), "out"), "deeper.txt")


def test_many_stars_take_no_time() -> None:
    assert not matches("*a" * 60 + "b", "a" * 250)
