"""The record of promises: what a test shows, what the result file holds, which line is printed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tools.promises import DOCUMENT, Promise, TestResult, lines, read_promises, verdict

SUITE = """
import pytest

@pytest.fixture(params=["sqlite", "memory"])
def store(request):
    return request.param

@pytest.fixture
def cli(request):
    yield
    request.node.user_properties.append(("store", "sqlite"))

def test_C03_by_name(store): pass
@pytest.mark.promise("C05")
@pytest.mark.promise("C06")
def test_by_marker(cli): pass
@pytest.mark.promise("C05")
def test_that_fails(): assert 0
@pytest.mark.originals
@pytest.mark.promise("C05")
def test_of_real_files(): pass
@pytest.mark.promise("C05")
def test_left_out(): pytest.skip("why not")
@pytest.mark.promise("C05")
def test_whose_set_up_fails(missing): pass
def test_of_no_promise(): pass
@pytest.mark.promise("C14", part="processes")
@pytest.mark.promise("O03", part=("sh", "argument lists"))
def test_of_parts(cli): pass
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini(
        "[pytest]\nmarkers =\n promise(id)\n originals\ntestpaths = .\nasyncio_default_fixture_loop_scope = function\n"
    )
    pytester.makepyfile(SUITE)
    return pytester


def results_of(suite: pytest.Pytester, *arguments: str) -> dict[str, Any]:
    suite.runpytest_inprocess("-p", "tests.promises_plugin", "--results", "out/results.json", *arguments)
    file = suite.path / "out" / "results.json"
    return json.loads(file.read_text()) if file.exists() else {}


@pytest.mark.parametrize("workers", [(), ("-n", "1")], ids=["alone", "spread"])
def test_a_whole_run_records_what_each_test_shows(suite: pytest.Pytester, workers: tuple[str, ...]) -> None:
    tests = {test["nodeid"].rpartition("::")[2]: test for test in results_of(suite, *workers)["tests"]}
    shown = {
        name: (test["outcome"], test["promises"], test["stores"], test["faces"], test["originals"])
        for name, test in tests.items()
    }
    assert shown == {
        "test_C03_by_name[sqlite]": ("passed", ["C03"], ["sqlite"], [], False),
        "test_C03_by_name[memory]": ("passed", ["C03"], ["memory"], [], False),
        "test_by_marker": ("passed", ["C05", "C06"], ["sqlite"], ["cli"], False),
        "test_that_fails": ("failed", ["C05"], [], [], False),
        "test_of_real_files": ("passed", ["C05"], [], [], True),
        "test_left_out": ("skipped", ["C05"], [], [], False),
        "test_whose_set_up_fails": ("failed", ["C05"], [], [], False),
        "test_of_no_promise": ("passed", [], [], [], False),
        "test_of_parts": ("passed", ["C14", "O03"], ["sqlite"], ["cli"], False),
    }
    assert {name: test["parts"] for name, test in tests.items() if test["parts"]} == {
        "test_of_parts": [["C14", "processes"], ["O03", "argument lists"], ["O03", "sh"]]
    }


@pytest.mark.parametrize("narrowing", ["-k=by_name", "-m=originals", "--maxfail=1", "--deselect=x", "--lf"])
def test_a_run_of_some_tests_leaves_no_result(suite: pytest.Pytester, narrowing: str) -> None:
    assert results_of(suite, narrowing) == {}


def test_a_run_of_one_file_leaves_no_result(suite: pytest.Pytester) -> None:
    assert results_of(suite, next(file.name for file in suite.path.glob("test_*.py"))) == {}


def test_a_run_that_could_not_collect_leaves_no_result(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_broken="import nothing_of_this_name")
    assert results_of(suite) == {}


def test_a_number_that_no_promise_has_stops_the_run(suite: pytest.Pytester) -> None:
    suite.makepyfile("def test_Z99_wrong(): pass")
    result = suite.runpytest_inprocess("-p", "tests.promises_plugin")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_Z99_wrong: there is no promise 'Z99'*"])


def test_a_part_that_the_promise_does_not_have_stops_the_run(suite: pytest.Pytester) -> None:
    suite.makepyfile('import pytest\n@pytest.mark.promise("C14", part="sh")\ndef test_wrong(): pass')
    result = suite.runpytest_inprocess("-p", "tests.promises_plugin")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_wrong: there is no part 'C14 sh'*"])


def result(outcome: str = "passed", *through: str, originals: bool = False) -> TestResult:
    return TestResult("t", outcome, ("C03",), frozenset(through), originals)


C03 = Promise("C03", "text", ("cli", "sqlite", "postgres"))


@pytest.mark.parametrize(
    ("tests", "line"),
    [
        ([], "C03 open: no test yet"),
        ([result("skipped", "cli")], "C03 open: no test yet"),
        ([result("passed", "cli", originals=True)], "C03 open: no test yet"),
        ([result("passed")], "C03 open: 1 test; missing sqlite postgres cli"),
        ([result("passed", "memory")], "C03 open: 1 test: memory; missing sqlite postgres cli"),
        ([result("passed", "cli", "sqlite"), result()], "C03 part 2 tests: sqlite cli; missing postgres"),
        ([result("passed", "cli", "sqlite", "postgres"), result("failed")], "C03 open: 1 of 2 tests failed"),
        (
            [result("passed", "cli", "sqlite"), result("passed", "memory", "postgres"), result("skipped")],
            "C03 kept 2 tests: sqlite postgres memory cli",
        ),
    ],
)
def test_the_line_of_a_promise(tests: list[TestResult], line: str) -> None:
    assert verdict(C03, tests) == line


def part(name: str, *through: str, outcome: str = "passed") -> TestResult:
    return TestResult("t", outcome, ("H06",), frozenset(through), originals=False, parts=frozenset({("H06", name)}))


H06 = Promise("H06", "text", ("cli", "sqlite"), ("processes", "containers"))


@pytest.mark.parametrize(
    ("tests", "line"),
    [
        ([result("passed", "cli", "sqlite")], "H06 open: 1 test: sqlite cli; to come: processes, containers"),
        ([part("processes", "cli", "sqlite")], "H06 part 1 test: sqlite cli; to come: containers"),
        (
            [part("processes", "cli", "sqlite"), part("containers", "sqlite")],
            "H06 part 2 tests: sqlite cli; containers without cli",
        ),
        (
            [part("processes", "cli"), part("containers")],
            "H06 part 2 tests: cli; missing sqlite; containers without cli",
        ),
        (
            [part("processes", "cli", "sqlite"), part("containers", "cli"), part("containers", "sqlite")],
            "H06 kept 3 tests: sqlite cli",
        ),
        (
            [part("processes", "cli", "sqlite"), part("containers", "cli", "sqlite", outcome="failed")],
            "H06 open: 1 of 2 tests failed",
        ),
    ],
)
def test_the_line_of_a_promise_in_parts(tests: list[TestResult], line: str) -> None:
    assert verdict(H06, tests) == line


def test_parts_are_read_from_behind_the_colon() -> None:
    (promise,) = read_promises("| C14 | Steps run: everywhere | cli sqlite: processes, own store |\n")
    assert promise == Promise("C14", "Steps run: everywhere", ("cli", "sqlite"), ("processes", "own store"))


def test_every_promise_has_a_line_in_the_order_of_the_document() -> None:
    promises = read_promises(DOCUMENT.read_text())
    assert [line.split()[0] for line in lines(promises, [])] == [promise.id for promise in promises]
    assert len({promise.id for promise in promises}) == len(promises) == 79


def test_a_need_that_nothing_meets_is_refused() -> None:
    with pytest.raises(ValueError, match="C01 needs sqlight"):
        read_promises("| C01 | text | cli sqlight |\n")
