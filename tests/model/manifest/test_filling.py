"""Jobs made from templates: filled, laid over, and every finding at the place where its cause was written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.engine.manifests import Manifests, ManifestText, load_manifests
from windlass.model.catalog import StepCatalog
from windlass.model.manifest.filling import Template, fill
from windlass.model.manifest.limits import Limits
from windlass.model.manifest.problem import Notes

TEMPLATE = """\
apiVersion: v1
kind: JobTemplate
metadata: {name: etl}
parameters:
  schema: {type: string, pattern: "^[a-z; ]+$"}
  queue: {type: string, default: default}
  tries: {type: integer, default: 2}
spec:
  queue: ${{ parameters.queue }}
  description: "Load ${{ parameters.schema }}"
  timeout: 2h
  steps:
    - {name: extract, run: 'echo "${{ parameters.schema }}"', retry: {attempts: "${{ parameters.tries }}"}}
    - {name: load, run: echo load, timeout: 5m}
"""
JOB = """\
apiVersion: v1
kind: Job
metadata: {alias: orders}
from: {template: etl, with: {schema: orders, queue: fast}}
steps:
  - {name: load, timeout: 10m}
  - {name: check, run: echo check}
"""

pytestmark = pytest.mark.promise("O01", part="templates")


def loaded(template: str = TEMPLATE, job: str = JOB) -> Manifests:
    texts = [ManifestText("job.yaml", job), ManifestText("etl.yaml", template)]
    return load_manifests(texts, StepCatalog(), Limits())


def told(template: str = TEMPLATE, job: str = JOB) -> list[str]:
    return [str(finding) for finding in loaded(template, job).errors]


def test_a_template_is_filled_and_the_document_laid_over_it() -> None:
    found = loaded()
    assert found.errors == ()
    (job,) = found.documents
    canonical = job.document.canonical
    assert (canonical["queue"], canonical["description"], canonical["timeout"]) == ("fast", "Load orders", 7200)
    extract, load, check = canonical["steps"]
    assert extract["retry"] == {"attempts": 2}
    assert (load["config"], load["timeout"], load["dependsOn"]) == ({"run": "echo load"}, 600, ["extract"])
    assert (check["name"], check["dependsOn"]) == ("check", ["load"])
    assert "from" not in canonical


def test_what_enters_a_command_stays_an_expression_over_a_parameter_with_one_value() -> None:
    (job,) = loaded(job=JOB.replace("schema: orders", 'schema: "x; rm y"')).documents
    canonical = job.document.canonical
    assert canonical["steps"][0]["config"]["run"] == 'echo "${{ parameters.schema }}"'
    schema = canonical["parameters"]["schema"]
    assert (schema["default"], schema["enum"]) == ("x; rm y", ["x; rm y"])
    assert list(canonical["parameters"]) == ["schema"]


def test_a_finding_names_the_document_and_the_template() -> None:
    template = TEMPLATE.replace("timeout: 5m", "timeout: soon").replace("timeout: 2h", "timeout: never")
    job = JOB.replace("timeout: 10m", "retryy: 1")
    words = "must be a duration such as 30s, 15m or 1h30m"
    assert told(template, job) == [
        f'job.yaml:4:18: timeout {words}, not "never" (template etl, etl.yaml:11:12)',
        f'job.yaml:4:18: timeout {words}, not "soon" (template etl, etl.yaml:14:45)',
        'job.yaml:6:18: unknown key "retryy" in the step; did you mean "retry"?',
    ]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("schema: orders", "schema: Orders", "job.yaml:4:38: schema must match"),
        ("template: etl", "template: elt", 'job.yaml:4:18: there is no template "elt"; did you mean "etl"?'),
        (
            "schema: orders",
            "scheme: x",
            'job.yaml:4:30: template "etl" has no parameter "scheme"; did you mean "schema"?',
        ),
        ("schema: orders, ", "", 'job.yaml:4:7: template "etl" needs the parameter "schema" under with'),
        ("with: {", "wiht: {", 'job.yaml:4:23: unknown key "wiht" in from; did you mean "with"?'),
    ],
)
def test_what_is_wrong_with_from_is_told(old: str, new: str, sentence: str) -> None:
    assert any(one.startswith(sentence) for one in told(job=JOB.replace(old, new))), told(job=JOB.replace(old, new))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["${{ parameters.a }}", "x", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "run", "steps"]), inner),
    max_leaves=6,
)


@given(JSON, JSON, JSON)
def test_whatever_a_template_and_a_document_hold_they_are_filled_or_refused(spec: Any, steps: Any, given_: Any) -> None:
    template = Template("t", {"a": {"type": "string", "default": "v"}}, {"steps": spec, "queue": spec}, "t")
    document = {"kind": "Job", "from": {"template": "t", "with": given_}, "steps": steps, "labels": spec}
    notes = Notes()
    filled = fill(document, {"t": template}, notes)
    assert (filled is None) == (notes.errors > 0)


def test_what_else_is_wrong_is_told_where_there_is_no_such_template() -> None:
    job = JOB.replace("template: etl", "template: elt").replace("alias: orders", "alias: No Good")
    found = told(job=job.replace("timeout: 10m", "timeot: 10m"))
    assert [line.partition(" ")[2][:28] for line in found] == [
        "alias must be 1 to 63 small ", 'there is no template "elt"; ', 'unknown key "timeot" in the ',
    ]  # fmt: skip
