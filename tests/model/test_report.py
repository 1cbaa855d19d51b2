"""What a step reports: outputs, branches, and what is wrong with them."""

from __future__ import annotations

import pytest

from windlass.errors import UserError
from windlass.model.directives import Directive
from windlass.model.outputs import OUTPUT_LIMIT, check_json, parse_outputs
from windlass.model.report import Report


def output(text: bytes) -> Directive:
    return Directive("output", text)


@pytest.mark.promise("C12")
def test_the_last_write_of_a_key_wins() -> None:
    report = Report()
    report.take(output(b'{"a": 1, "b": [1.5, null, true]}'))
    report.take_lines(b'{"a": {"x": "y"}}\n\n  {"c": ""}\n')
    assert report.outputs == {"a": {"x": "y"}, "b": [1.5, None, True], "c": ""}
    assert report.drain_warnings() == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "expecting property name enclosed in double quotes at character 2"),
        (b"", "expecting value at character 1"),
        (b"[1]", "it is no JSON object"),
        (b'{"a": NaN}', "NaN is no JSON"),
        (b'{"a": 1e999}', "it holds a number that is not finite"),
        (b'{"a": 99999999999999999999}', "it holds an integer beyond 64 bits; write it as text"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number in it is too long"),
        (b'{"a": "\\ud800"}', "it holds text that is not valid Unicode"),
        (b'{"a": "\xff"}', "byte 8 is not UTF-8"),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "it is nested deeper than 64 levels"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "it is nested deeper than 64 levels"),
    ],
)
def test_what_is_no_json_is_a_warning_with_its_reason(text: bytes, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        parse_outputs(text)
    report = Report()
    report.take(output(text))
    assert report.drain_warnings() == [f"an output line is left out: {reason}"]
    assert report.problem is None


def test_a_reason_never_shows_the_text_itself() -> None:
    for text in (b'{"a": hunter2}', b"hunter2", b'{"hunter2"}', b'{"a": "hunter2'):
        with pytest.raises(UserError) as raised:
            parse_outputs(text)
        assert "hunter" not in str(raised.value)


def test_too_large_outputs_are_a_failure_and_keep_what_was_there() -> None:
    report = Report()
    report.take(output(b'{"a": 1}'))
    report.put({"b": "x" * OUTPUT_LIMIT})
    assert report.outputs == {"a": 1}
    assert report.problem
    assert (report.problem.reason, report.problem.may_retry) == ("outputs_too_large", False)


def test_writing_a_key_again_takes_no_further_room() -> None:
    report = Report()
    for _ in range(10):
        report.put({"a": "x" * (OUTPUT_LIMIT // 2)})
    assert report.problem is None


def test_a_directive_that_was_too_long_is_a_failure() -> None:
    report = Report()
    report.take(Directive("output", b'{"a": "xxx', too_long=True))
    assert report.problem
    assert report.problem.reason == "outputs_too_large"


def test_branches_in_the_order_of_their_choice() -> None:
    report = Report(("a", "b", "c"))
    for name in (b"c", b"a", b"c"):
        report.take(Directive("branch", name))
    assert report.branches == ("c", "a")


def test_a_branch_that_is_none_of_the_next_steps_is_a_failure() -> None:
    report = Report(("load-eu", "load-us"))
    report.take(Directive("branch", b"load-eux"))
    assert report.problem
    assert report.problem.message == (
        'it chose the branch "load-eux", which is none of its next steps (load-eu, load-us); did you mean "load-eu"?'
    )


def test_no_branch_chooses_nothing() -> None:
    report = Report()
    report.take(Directive("branch", b"a"))
    assert report.branches is None
    assert report.drain_warnings() == ["a branch line is left out: this step is no branch"]


def test_unknown_directives_are_named_as_far_as_that_is_safe() -> None:
    report = Report()
    report.take(Directive("outputs", b"{}"))
    report.take(Directive("output-ref", b'{"key": "x"}'))
    first, second = report.drain_warnings()
    assert 'did you mean "output"?' in first
    assert "`output-ref` is not acted on" in second


def test_warnings_do_not_fill_the_log() -> None:
    report = Report()
    for _ in range(1000):
        report.take(output(b"x"))
    assert len(report.drain_warnings()) == 21


def test_only_json_passes() -> None:
    check_json({"a": [1, 2.5, "x", None, True, {"b": ()}]})
    for value in ({"a": object()}, {1: "x", "y": {2, 3}}, b"x"):
        with pytest.raises(UserError):
            check_json(value)
