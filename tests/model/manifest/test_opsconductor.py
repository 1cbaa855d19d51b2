"""Exports of OpsConductor become manifests that lint clean; what has no counterpart is listed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from windlass.model.catalog import StepCatalog
from windlass.model.manifest.load import load
from windlass.model.manifest.opsconductor import Conversion, converted

DATA = Path(__file__).parents[4] / "shared" / "data"
CATALOG = StepCatalog()

pytestmark = pytest.mark.promise("O01", part="bulk")


def node(number: str, kind: str, **data: Any) -> dict[str, Any]:
    return {"id": number, "type": kind, "position": {"x": 1, "y": 2}, "data": data}


def export(nodes: list[dict[str, Any]], *edges: tuple[str, str, str], **more: Any) -> dict[str, Any]:
    wired = [{"id": str(n), "source": a, "target": b, "condition": c} for n, (a, b, c) in enumerate(edges)]
    return {"format_version": "1.0", "jobs": [{"name": "Check It", "nodes": nodes, "edges": wired, **more}]}


def steps(content: Any) -> tuple[dict[str, dict[str, Any]], list[str]]:
    found = converted(content)
    assert found is not None
    ((_, document),) = found.documents
    loaded = load(json.dumps(document), "f", CATALOG)
    assert loaded.errors == ()
    return {step["name"]: dict(step) for step in loaded.documents[0].canonical["steps"]}, found.lost


def test_commands_run_where_they_did_with_parameters_as_expressions() -> None:
    found, lost = steps(
        export(
            [
                node("start", "flow.start", trigger_type="manual"),
                node("here", "action.command", command="ping {{ host }}", target="localhost", timeout=30),
                node("there_1", "action.command", command="df", target="db", connection_type="ssh", retry_count=2),
                node("win", "action.command", command="dir", target="pc", connection_type="winrm"),
                node("end", "flow.end"),
            ],
            ("start", "here", "always"),
            ("here", "there_1", "always"),
            ("there_1", "win", "failure"),
            ("win", "end", "always"),
            parameters={"host": {"type": "string", "default": "web"}},
        )
    )
    assert lost == []
    assert found["here"] == {
        "name": "here", "type": "shell", "config": {"run": "ping ${{ parameters.host }}"}, "timeout": 30,
    }  # fmt: skip
    assert found["there-1"]["targets"] == {"target": ["db"]}
    assert found["there-1"]["retry"] == {"attempts": 3}
    assert (found["win"]["type"], found["win"]["triggerRule"]) == ("winrm.exec", "all_failed")
    assert [found[name].get("dependsOn") for name in ("there-1", "win")] == [["here"], ["there-1"]]


def test_a_condition_chooses_among_the_steps_behind_it() -> None:
    found, lost = steps(
        export(
            [
                node("measure", "action.command", command="measure", target="localhost"),
                node("high", "logic.if", condition="previous_step.result.cpu > 80"),
                node("alert", "action.http", url="https://chat.example/hook", method="POST"),
                node("wait", "flow.delay", seconds=5),
                node("done", "action.command", command="echo {{ previous_step.result.cpu }}", target="localhost"),
            ],
            ("measure", "high", "always"),
            ("high", "alert", "true"),
            ("high", "wait", "false"),
            ("alert", "done", "always"),
            ("wait", "done", "always"),
        )
    )
    assert found["high"]["config"]["run"].splitlines() == [
        'if [ "${{ steps["measure"].outputs.cpu > 80 }}" = true ]; then',
        "  echo '##windlass::branch alert'",
        "else",
        "  echo '##windlass::branch wait'",
        "fi",
    ]
    assert found["wait"] == {"name": "wait", "type": "wait", "config": {"duration": 5}, "dependsOn": ["high"]}
    assert found["done"]["triggerRule"] == "none_failed"
    assert any("it reads previous_step.result.cpu" in sentence for sentence in lost)


def test_what_has_no_counterpart_fails_until_it_is_written_anew() -> None:
    found, lost = steps(
        export(
            [
                node("transform", "data.transform", script="x = 1"),
                node(
                    "mail", "action.notification", notification_type="email", recipients=["a@b.c"], message="hi {{x}}"
                ),
                node("odd", "logic.if", condition="len(items) > other"),
            ],
            ("transform", "mail", "always"),
            schedule={"cron": "* * * * *"},
        )
    )
    assert found["transform"]["config"]["run"].endswith("exit 1")
    assert found["odd"]["config"]["run"].endswith("exit 1")
    assert found["mail"]["type"] == "process"
    for sentence in (
        "Check It: schedule has no counterpart",
        "Check It: step transform: a node of type data.transform has no counterpart; it fails until it is written anew",
        "Check It: step mail: {{ x }} has no counterpart",
        "Check It: step mail: email to a@b.c is written to the log instead",
    ):
        assert sentence in lost


def test_actions_in_order_become_steps_with_their_dependencies() -> None:
    found, lost = steps(
        {
            "name": "Update",
            "actions": [
                {"id": "b", "type": "script", "order": 2, "parameters": {"scriptType": "bash", "scriptContent": "b"},
                 "dependencies": [{"actionId": "a", "status": "completed"}], "retryCount": 1, "retryDelay": 9},
                {"id": "a", "type": "command", "order": 1, "parameters": {"command": "a $ZONE"},
                 "continueOnError": True},
                {"id": "c", "type": "command", "order": 3, "parameters": {"command": "c"},
                 "conditions": [{"variable": "X", "operator": ">", "value": "1"}]},
            ],
            "variables": [{"key": "ZONE", "value": "eu", "type": "string"}],
            "target_ids": [1],
        }
    )  # fmt: skip
    assert list(found) == ["a", "b", "c"]
    assert (found["a"]["allowFailure"], found["a"]["env"]) == (True, {"ZONE": "${{ parameters.ZONE }}"})
    assert (found["b"]["triggerRule"], found["b"]["retry"]) == ("all_done", {"attempts": 2, "delay": 9})
    assert (found["c"]["dependsOn"], found["c"]["when"]) == (["b"], "${{ false }}")
    assert lost == [
        "Update: target_ids has no counterpart",
        "Update: step c: the condition on X has no counterpart; write a `when`",
    ]


def test_other_documents_are_no_exports() -> None:
    for content in ({}, [], None, 5, {"name": "x"}, {"name": "x", "steps": []}, {"jobs": []}, {"jobs": [{"name": 1}]}):
        assert converted(content) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NODES = st.fixed_dictionaries(
    {},
    optional={
        "id": JSON,
        "type": st.sampled_from(["action.command", "logic.if", "flow.delay", "action.notification", "x", 5]),
        "data": JSON | st.dictionaries(st.sampled_from(["command", "condition", "timeout", "recipients"]), JSON),
    },
)
EDGES = st.fixed_dictionaries({}, optional={"source": JSON, "target": JSON, "condition": JSON})


@example([{"id": None, "data": {}, "type": "logic.if"}], [{"source": None, "condition": [], "target": None}], None)
@given(st.lists(NODES, min_size=1, max_size=4), st.lists(EDGES | JSON, max_size=4), JSON)
def test_whatever_an_export_holds_is_converted_or_told(nodes: list[Any], edges: list[Any], parameters: Any) -> None:
    found = converted({"name": "x", "nodes": nodes, "edges": edges, "parameters": parameters})
    assert isinstance(found, Conversion)
    load(json.dumps(found.documents[0][1]), "f", CATALOG)


ACTIONS = st.dictionaries(
    st.sampled_from(["id", "type", "parameters", "dependencies", "conditions", "order"]), JSON, max_size=6
)


@given(st.lists(ACTIONS, min_size=1, max_size=4), JSON, JSON)
def test_whatever_actions_hold_is_converted_or_told(actions: list[Any], settings: Any, variables: Any) -> None:
    found = converted({"name": "x", "actions": actions, "settings": settings, "variables": variables})
    assert isinstance(found, Conversion)


@pytest.mark.originals
@pytest.mark.skipif(not DATA.is_dir(), reason="the files of the originals are not here")
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("opsconductor/sample-jobs-basic.json", 2),
        ("opsconductor/sample-jobs-monitoring.json", 2),
        ("opsconductor-legacy/api-create-job-system-update.json", 1),
        ("opsconductor-legacy/readme-01-system-health-check.json", 1),
        ("opsconductor-legacy/readme-02-application-deployment.json", 1),
    ],
)
def test_real_exports_lint_clean(name: str, count: int) -> None:
    found = converted(json.loads((DATA / name).read_text()))
    assert found is not None
    assert len(found.documents) == count
    for _, document in found.documents:
        assert load(json.dumps(document), name, CATALOG).errors == ()
