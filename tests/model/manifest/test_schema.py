"""The schema for editors, and the reference for people: both from the tables that reading uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from windlass.model.catalog import StepCatalog
from windlass.model.manifest.events import parse
from windlass.model.manifest.job_fields import JOB_FIELDS
from windlass.model.manifest.limits import Limits
from windlass.model.manifest.load import load
from windlass.model.manifest.reference import schema_markdown
from windlass.model.manifest.schema import job_schema
from windlass.model.manifest.step_fields import STEP_FIELDS

CATALOG = StepCatalog()
SCHEMA = job_schema(CATALOG)
VALIDATOR = jsonschema_rs.Draft202012Validator(SCHEMA)
ORIGINALS = sorted((Path(__file__).parents[4] / "shared" / "data" / "caesium").rglob("*.yaml"))
EVERYTHING = (Path(__file__).parent / "everything.yaml").read_text()


def job(**fields: Any) -> dict[str, Any]:
    """Return a small sound manifest with these fields changed; None takes a field away."""
    content = {
        "apiVersion": "v1",
        "kind": "Job",
        "metadata": {"alias": "a"},
        "steps": [{"name": "s", "run": "x"}],
        **fields,
    }
    return {key: value for key, value in content.items() if value is not None}


def step(**fields: Any) -> dict[str, Any]:
    """Return a manifest with one step of these fields."""
    return job(steps=[{"name": "s", **fields}])


def test_it_is_a_schema() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(SCHEMA)


def test_a_manifest_with_every_field_is_valid_and_lints() -> None:
    loaded = load(EVERYTHING, "everything.yaml", CATALOG)
    assert loaded.errors == ()
    for document in parse(EVERYTHING, Limits()).documents:
        assert [error.message for error in VALIDATOR.iter_errors(document)] == []
    text = yaml.safe_dump([dict(document.canonical) for document in loaded.documents])
    assert all(name in EVERYTHING for name in (*JOB_FIELDS, *STEP_FIELDS) if name != "from"), text


@pytest.mark.originals
@pytest.mark.skipif(not ORIGINALS, reason="the files of the originals are not here")
def test_the_originals_are_valid() -> None:
    for file in ORIGINALS:
        for document in parse(file.read_text(), Limits()).documents:
            assert [error.message for error in VALIDATOR.iter_errors(document)] == []


@pytest.mark.parametrize(
    "manifest",
    [
        job(apiVersion="v2"),
        job(kind="Jub"),
        job(metadata=None),
        job(metadata={"alias": "No Good"}),
        job(metadata={}),
        job(steps=None),
        job(steps=[]),
        job(steps={}),
        job(stepz=[]),
        job(priority=16),
        job(priority="hgih"),
        job(timeout="soon"),
        job(timeout=-1),
        job(queue="a b"),
        job(concurrency={"limit": 0}),
        job(concurrency={"strategy": "drop"}),
        job(trigger={"type": "corn"}),
        job(trigger={"type": "cron"}),
        job(trigger={"type": "cron", "configuration": {}}),
        job(trigger={"type": "manual"}, triggers=[]),
        job(triggers=[{"type": "http", "configuration": {"path": "x", "secrett": "y"}}]),
        job(callbacks=[{"type": "mail", "configuration": {"url": "x"}}]),
        job(callbacks=[{"type": "notification"}]),
        job(parameters={"a": {"type": "strin"}}),
        job(parameters={"a": {"defualt": 1}}),
        job(parameters={"a b": {}}),
        job(retention={"runs": {"days": 0}}),
        job(sla={"completedBy": "6:00"}),
        step(),
        step(run=""),
        step(run=5),
        step(run="x", dependson="y"),
        step(run="x", triggerRule="all_sucess"),
        step(run="x", retry={"attempts": 0}),
        step(run="x", retry={"on": ["never"]}),
        step(run="x", env={"2A": "x"}),
        step(run="x", env={"A": ["x"]}),
        step(run="x", matrix={"a": []}),
        step(run="x", dependsOn=["a", "a"]),
        step(type="shel", config={"run": "x"}),
        step(type="shell", config={"rum": "x"}),
        step(type="wait", config={"duration": []}),
        step(type="http.request", config={"url": "x", "method": "FETCH"}),
        step(engine="dockr", image="x"),
        step(image="x", mounts=[{"source": "y"}]),
        step(uses={}),
        job(steps=None, **{"from": None}),
        {"apiVersion": "v1"},
        [],
    ],
)
def test_what_lint_refuses_by_its_form_the_schema_refuses(manifest: Any) -> None:
    assert not VALIDATOR.is_valid(manifest)
    assert not load(yaml.safe_dump(manifest), "f", CATALOG).ok


@pytest.mark.parametrize(
    "manifest",
    [
        step(type="wait", config={"duration": "${{ parameters.d }}"}),
        step(type="http.request", config={"url": "x", "method": "${{ parameters.m }}"}),
        step(image="x", type="container.docker"),
        step(run="x", when=True, timeout="1h30m", logQuota="1MiB", dependsOn=[], env={"A": 1}),
    ],
)
def test_what_lint_takes_the_schema_takes(manifest: Any) -> None:
    assert load(yaml.safe_dump(manifest), "f", CATALOG).errors == ()
    assert [error.message for error in VALIDATOR.iter_errors(manifest)] == []


@pytest.mark.promise("O01", part="templates")
@pytest.mark.parametrize("steps", [None, [{"name": "s", "timeout": "5m"}, {"name": "t", "run": "x"}]])
def test_a_job_made_from_a_template_needs_no_steps_of_its_own(steps: Any) -> None:
    manifest = job(steps=steps, **{"from": {"template": "t", "with": {"a": 1}}})
    assert [error.message for error in VALIDATOR.iter_errors(manifest)] == []
    assert not VALIDATOR.is_valid(job(steps=[{"name": "s", "timeot": "5m"}], **{"from": {"template": "t"}}))


@pytest.mark.promise("C11")
def test_the_reference_names_every_field_and_type() -> None:
    text = schema_markdown(CATALOG)
    for name in (*JOB_FIELDS, *STEP_FIELDS):
        assert f"| `{name}` |" in text
    for name, spec in CATALOG.items():
        assert f"## `{name}`" in text
        for field in spec.schema["properties"]:
            assert f"| `{field}` |" in text
    assert all(line.count("|") - line.count("\\|") == 4 for line in text.splitlines() if line.startswith("|"))
