"""What changed between two versions of a job."""

from __future__ import annotations

from typing import Any

import pytest

from windlass.model.diff import Change, diff_jobs

pytestmark = pytest.mark.promise("C05")


def job(**fields: Any) -> dict[str, Any]:
    """Return canonical content with these fields changed."""
    steps = [
        {"name": "extract", "type": "shell", "config": {"run": "x"}},
        {"name": "load", "type": "shell", "config": {"run": "y"}, "dependsOn": ["extract"], "retry": {"attempts": 2}},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Job",
        "metadata": {"alias": "a", "labels": {"team": "x"}},
        "steps": steps,
        **fields,
    }


def lines(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [str(change) for change in diff_jobs(old, new)]


def test_nothing_changed() -> None:
    assert diff_jobs(job(), job()) == []


def test_a_new_job_is_one_change() -> None:
    (change,) = diff_jobs(None, job())
    assert (change.kind, change.path, change.new) == ("added", (), job())
    assert str(change).startswith('+ job: {"')


def test_fields_are_added_removed_and_changed() -> None:
    assert lines(job(timeout=60, queue="a"), job(timeout=90, priority=10)) == [
        "~ timeout: 60 -> 90",
        '- queue: "a"',
        "+ priority: 10",
    ]


def step_changed(**fields: Any) -> dict[str, Any]:
    """Return a job whose step `load` is changed."""
    content = job()
    content["steps"] = [content["steps"][0], {**content["steps"][1], **fields}]
    return content


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"retry": {"attempts": 3}}, "~ steps.load.retry.attempts: 2 -> 3"),
        ({"dependsOn": []}, '~ steps.load.dependsOn: ["extract"] -> []'),
        ({"env": {"A": "1"}}, '+ steps.load.env: {"A":"1"}'),
        ({"triggerRule": "all_done"}, '+ steps.load.triggerRule: "all_done"'),
        ({"cache": {}}, "+ steps.load.cache: {}"),
        ({"config": {"run": "z"}}, '~ steps.load.config.run: "y" -> "z"'),
        ({"timeout": True}, "+ steps.load.timeout: true"),
    ],
)
def test_every_field_of_a_step_is_seen_by_the_step_s_name(fields: dict[str, Any], line: str) -> None:
    assert lines(job(), step_changed(**fields)) == [line]


def test_steps_come_go_and_change_places() -> None:
    old = job()
    extract, load = old["steps"]
    (line,) = lines(old, job(steps=[extract]))
    assert line.startswith('- steps.load: {"config":{"run":"y"},"dependsOn":["extract"],"name":"load"')
    assert lines(job(steps=[extract]), old)[0].startswith("+ steps.load: ")
    assert lines(old, job(steps=[load, extract])) == ['~ steps.order: ["extract","load"] -> ["load","extract"]']


def test_lists_of_mappings_are_compared_by_place() -> None:
    one, two = {"type": "manual"}, {"type": "cron", "configuration": {"cron": "* * * * *"}}
    assert lines(job(triggers=[one]), job(triggers=[one, two])) == [
        '+ triggers[1]: {"configuration":{"cron":"* * * * *"},"type":"cron"}'
    ]
    assert lines(job(triggers=[two]), job(triggers=[one])) == [
        '~ triggers[0].type: "cron" -> "manual"',
        '- triggers[0].configuration: {"cron":"* * * * *"}',
    ]


def test_one_and_true_are_not_the_same() -> None:
    assert lines(job(x=1), job(x=True)) == ["~ x: 1 -> true"]
    assert lines(job(x=[1]), job(x=[1.0])) == ["~ x: [1] -> [1.0]"]


def test_a_line_is_one_line_of_bounded_length() -> None:
    line = str(Change("added", ("labels", "a\nb"), None, "x" * 1000))
    assert line.startswith('+ labels["a\\nb"]: "xxx')
    assert "\n" not in line
    assert len(line) < 250
