"""Runs as graphs, by the command line: each clause of what is promised of them."""

from __future__ import annotations

from typing import Final

import pytest

from tests.e2e.stage import HEAD, events, executed, log, states
from tests.fixtures.program import Windlass

_JOINS: Final = (
    HEAD % "joins"
    + """\
steps:
  - {name: good, run: "true"}
  - {name: bad, run: exit 3}
  - {name: none, run: "true", when: "${{ 1 > 2 }}"}
  - {name: allowed, run: exit 3, allowFailure: true}
"""
)
#: What becomes of a step behind others, by its rule. Without a rule it is `all_success`.
_OUTCOMES: Final = {
    ("good", None): "completed",
    ("good, bad", None): "skipped",
    ("good, none", None): "skipped",
    ("good, allowed", "all_success"): "completed",
    ("good, none", "none_failed"): "completed",
    ("good, bad", "none_failed"): "skipped",
    ("good, allowed", "none_failed"): "completed",
    ("bad, none", "one_success"): "skipped",
    ("bad, good", "one_success"): "completed",
    ("bad, allowed", "all_failed"): "completed",
    ("bad, good", "all_failed"): "skipped",
    ("bad, none", "all_done"): "completed",
    ("bad, none", "always"): "completed",
}
_FAN_OUT: Final = (
    HEAD % "fan-out"
    + """\
parameters:
  systems: {type: array, items: {type: string}, default: [debian, alpine]}
  wrong: {type: integer, default: 0}
steps:
  - {name: seed, run: "echo '##windlass::output {\\"n\\": 40}'"}
  - name: build
    dependsOn: seed
    matrix: {number: [1, 2], system: "${{ parameters.systems }}"}
    run: |
      [ ${{ parameters.wrong }} != ${{ matrix.number }} ] || exit 1
      echo "##windlass::output {\\"sum\\":${{ steps.seed.outputs.n + matrix.number }}}"
  - name: join
    dependsOn: build
    run: echo ${{ steps.build.items["1,debian"].outputs.sum }} ${{ steps.build.items["2,alpine"].outputs.sum }}
"""
)
_BRANCHES: Final = (
    HEAD % "branches"
    + """\
steps:
  - {name: choose, branch: true, next: [left, middle, right], run: "echo '##windlass::branch left'"}
  - {name: left, run: echo left}
  - {name: middle, run: echo middle, triggerRule: all_done}
  - {name: right, run: echo right}
  - {name: behind, dependsOn: right, run: echo behind}
  - {name: meet, dependsOn: [left, right], triggerRule: none_failed, run: echo met}
"""
)
_CONDITIONS: Final = (
    HEAD % "conditions"
    + """\
parameters: {region: {type: string, default: eu}}
steps:
  - {name: ask, run: "echo '##windlass::output {\\"rows\\": 7}'"}
  - {name: eu, dependsOn: ask, when: "${{ parameters.region == 'eu' && steps.ask.outputs.rows > 5 }}", run: echo eu}
  - {name: us, dependsOn: ask, when: "${{ parameters.region == 'us' }}", run: echo us}
  - {name: few, dependsOn: ask, when: "${{ steps.ask.outputs.rows <= 5 }}", run: echo few}
  - {name: unclear, dependsOn: ask, when: "${{ steps.ask.outputs.rows }}", run: echo never}
  - {name: missing, dependsOn: ask, when: "${{ steps.ask.outputs.no_such > 1 }}", run: echo never}
"""
)
_OUTPUTS: Final = (
    HEAD % "outputs"
    + """\
steps:
  - name: give
    run: |
      echo '##windlass::output {"word": "a b", "count": 1, "list": [1, {"x": null}]}'
      echo '{"count": 2}' >> "$WINDLASS_OUTPUT"
      echo 'no output: ##windlass::output {"count": 3}'
  - name: take
    dependsOn: give
    env: {LIST: "${{ steps.give.outputs.list }}", NEXT: "${{ steps.give.outputs.count + 1 }}"}
    run: |
      echo "$WINDLASS_OUTPUT_GIVE_WORD"
      echo ${{ steps.give.outputs.word }}
      echo "$LIST $NEXT"
  - name: far
    dependsOn: take
    type: process
    config: {command: [echo, "${{ steps.give.outputs.word }}"]}
"""
)
_FAILURES: Final = (
    HEAD % "failures"
    + """\
steps:
  - {name: bad, run: "[ -e mended ]"}
  - {name: after, dependsOn: bad, run: echo after}
  - {name: far-after, dependsOn: after, run: echo after}
  - {name: beside, run: echo beside}
  - {name: beside-too, dependsOn: beside, run: echo beside too}
  - {name: sweep, dependsOn: [far-after, beside], triggerRule: all_done, run: echo swept}
"""
)


@pytest.mark.promise("C12", part="joins")
def test_joins_go_by_their_rule(windlass: Windlass) -> None:
    text, expected = _JOINS, {}
    for number, ((before, rule), state) in enumerate(_OUTCOMES.items()):
        text += f'  - {{name: join-{number}, dependsOn: [{before}], run: "true"'
        text += f", triggerRule: {rule}}}\n" if rule else "}\n"
        expected[f"join-{number}"] = state
    run = executed(windlass, text)
    found = states(windlass, run["id"])
    assert [found.pop(name) for name in ("good", "bad", "none", "allowed")] == [
        "completed", "failed", "skipped", "failed",
    ]  # fmt: skip
    assert found == expected
    assert (run["state"], run["reason"], run["allowedFailures"]) == ("failed", "task_failed", 1)


@pytest.mark.promise("C12", part="fan-out")
def test_a_matrix_fans_out_and_joins_again(windlass: Windlass) -> None:
    run = executed(windlass, _FAN_OUT)
    assert states(windlass, run["id"]) == {
        "seed": "completed",
        "build[1,debian]": "completed",
        "build[1,alpine]": "completed",
        "build[2,debian]": "completed",
        "build[2,alpine]": "completed",
        "join": "completed",
    }
    assert log(windlass, run["id"], "--step", "join") == ["41 42"]


@pytest.mark.promise("C12", part="fan-out")
@pytest.mark.promise("C12", part="failures")
def test_one_failed_cell_stops_the_join_but_not_the_other_cells(windlass: Windlass) -> None:
    run = executed(windlass, _FAN_OUT, "-p", 'systems=["debian"]', "-p", "wrong=1")
    assert states(windlass, run["id"]) == {
        "seed": "completed",
        "build[1,debian]": "failed",
        "build[2,debian]": "completed",
        "join": "skipped",
    }


@pytest.mark.promise("C12", part="branches")
def test_a_branch_takes_the_ways_that_its_step_chose(windlass: Windlass) -> None:
    run = executed(windlass, _BRANCHES)
    assert states(windlass, run["id"]) == {
        "choose": "completed",
        "left": "completed",
        "middle": "skipped",
        "right": "skipped",
        "behind": "skipped",
        "meet": "completed",
    }
    both = executed(windlass, _BRANCHES.replace("left'", "left'; echo '##windlass::branch right'"))
    assert states(windlass, both["id"]) == {
        "choose": "completed",
        "left": "completed",
        "middle": "skipped",
        "right": "completed",
        "behind": "completed",
        "meet": "completed",
    }


@pytest.mark.promise("C12", part="conditions")
def test_conditions_decide_over_parameters_and_outputs(windlass: Windlass) -> None:
    run = executed(windlass, _CONDITIONS)
    assert states(windlass, run["id"]) == {
        "ask": "completed",
        "eu": "completed",
        "us": "skipped",
        "few": "skipped",
        "unclear": "failed",
        "missing": "failed",
    }
    failed = events(windlass, run["id"], "task.failed")
    assert [event["data"]["reason"] for event in failed] == ["expression_error"] * 2
    skipped = events(windlass, run["id"], "task.skipped")
    assert sorted(event["data"]["reason"] for event in skipped) == [
        "when: ${{ parameters.region == 'us' }} is false",
        "when: ${{ steps.ask.outputs.rows <= 5 }} is false",
    ]
    other = executed(windlass, _CONDITIONS, "-p", "region=us")
    assert states(windlass, other["id"]).items() >= {"eu": "skipped", "us": "completed"}.items()


@pytest.mark.promise("C12", part="outputs")
def test_outputs_are_handed_on_with_their_types(windlass: Windlass) -> None:
    run = executed(windlass, _OUTPUTS)
    assert run["state"] == "completed"
    assert log(windlass, run["id"], "--step", "take") == ["a b", "a b", '[1,{"x":null}] 3']
    assert log(windlass, run["id"], "--step", "far") == ["a b"]


@pytest.mark.promise("C12", part="failures")
def test_a_failure_stops_what_depends_on_it_and_nothing_else(windlass: Windlass) -> None:
    run = executed(windlass, _FAILURES)
    assert run["state"] == "failed"
    assert states(windlass, run["id"]) == {
        "bad": "failed",
        "after": "skipped",
        "far-after": "skipped",
        "beside": "completed",
        "beside-too": "completed",
        "sweep": "completed",
    }
    assert {event["data"]["reason"] for event in events(windlass, run["id"], "task.skipped")} == {
        'trigger rule all_success: step "bad" failed',
        'trigger rule all_success: step "after" was skipped',
    }
    (windlass.folder / "mended").touch()
    assert executed(windlass, _FAILURES)["state"] == "completed"
