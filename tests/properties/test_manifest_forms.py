"""Canonical content survives every way out and back in, and differences are seen exactly where digests differ."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windlass.model.catalog import StepCatalog
from windlass.model.diff import diff_jobs
from windlass.model.manifest.canonical import digest, from_job, to_job
from windlass.model.manifest.load import Document, load
from windlass.model.manifest.plain_yaml import to_yaml
from windlass.model.manifest.schema import job_schema

CATALOG = StepCatalog()
SCHEMA = jsonschema_rs.Draft202012Validator(job_schema(CATALOG))

#: Texts that writers and readers of YAML stumble over.
AWKWARD = st.sampled_from(
    [
        "yes",
        "no",
        "on",
        "null",
        "~",
        "true",
        "1",
        "1.0",
        "1e3",
        "0o17",
        "0x1f",
        "1_000",
        "1:30",
        "2026-01-01",
        "-",
        "?",
        "- a",
        "a: b",
        "a #b",
        "#",
        "&a",
        "*a",
        "!a",
        "%a",
        "@a",
        "`a",
        "{a",
        "[a",
        "'",
        '"',
        "=",
        "<<",
        "|",
        ">",
        "",
        "a\nb",
        "a\n",
        "\na",
        " a",
        "a ",
        "a\n\n b\n",
        "\ta",
        "a\tb",
        "a\rb",
        "é",
        "😀",
        "\x85",
        "\u2028",
        "\\",
        "}}",
        ".inf",
        "..",
        "...",
        "---",
        "a\n---\nb",
        "\ufeffa",
        "\x7f",
        "$${{ x",
    ]
)
TEXT = AWKWARD | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
SOME_TEXT = TEXT.filter(lambda text: text.strip() != "" and "${{" not in text)
NAME = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
DURATION = st.sampled_from(["5s", "1h30m", 90, 0.5, "250ms", "23h", 86400, 1.25])
LABELS = st.dictionaries(SOME_TEXT, TEXT | st.integers(-5, 5) | st.booleans(), max_size=3)
#: Those that a worker can have, and so a job require: WINDLASS_LABELS holds them as `key=value,key=value`.
SAID = TEXT.map(lambda text: text.replace(",", "").strip())
REQUIRED = st.dictionaries(
    SAID.map(lambda text: text.replace("=", "").strip()).filter(lambda text: text and "${{" not in text),
    SAID | st.integers(-5, 5) | st.booleans(),
    max_size=3,
)
ENV = st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True), TEXT, max_size=3)
JSON = st.recursive(
    TEXT | st.integers(-(2**63), 2**63 - 1) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
RETRY = st.fixed_dictionaries(
    {},
    optional={
        "attempts": st.integers(1, 9),
        "strategy": st.sampled_from(["fixed", "linear", "exponential"]),
        "delay": st.sampled_from(["5s", 1, 0]),
        "jitter": st.booleans(),
        "on": st.lists(
            st.sampled_from(["exit", "exit:3,1", "error", "connection", "timeout"]), min_size=1, unique=True
        ),
    },
)
DOING = st.one_of(
    st.builds(lambda text: {"run": text}, SOME_TEXT),
    st.builds(lambda texts: {"command": texts}, st.lists(TEXT, min_size=1, max_size=3)),
    st.builds(lambda image, command: {"image": image, "command": command}, NAME, st.lists(TEXT, min_size=1)),
    st.builds(lambda value: {"type": "fake", "config": {"outputs": {"x": value}}}, JSON),
    st.builds(lambda value: {"type": "wait", "config": {"duration": value}}, DURATION),
    st.builds(lambda value: {"uses": {"job": "other", "with": {"a": value}}}, JSON),
)
OPTIONAL = st.fixed_dictionaries(
    {},
    optional={
        "triggerRule": st.sampled_from(["all_success", "all_done", "always", "one_success"]),
        "env": ENV,
        "retry": RETRY,
        "timeout": DURATION,
        "allowFailure": st.booleans(),
        "onWorkerLost": st.sampled_from(["fail", "retry"]),
        "matrix": st.dictionaries(NAME, st.lists(st.integers(0, 9), min_size=1, unique=True, max_size=3), max_size=2),
        "artifacts": st.lists(SOME_TEXT, unique=True, max_size=2),
        "logQuota": st.sampled_from([5, "1KiB", "64MiB"]),
        "cache": st.booleans() | st.fixed_dictionaries({"ttl": DURATION}),
        "replaySafe": st.booleans(),
    },
)


@st.composite
def manifests(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a sound manifest as people write it."""
    names = draw(st.lists(NAME, min_size=1, max_size=4, unique=True))
    steps = []
    for number, name in enumerate(names):
        step = {"name": name, **draw(DOING), **draw(OPTIONAL)}
        before = names[:number]
        if before and draw(st.booleans()):
            step["dependsOn"] = draw(st.lists(st.sampled_from(before), unique=True))
        steps.append(step)
    top = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "description": TEXT,
                "queue": NAME,
                "priority": st.sampled_from(["high", "normal", 1, 15]),
                "timeout": DURATION,
                "failFast": st.booleans(),
                "defaults": st.fixed_dictionaries({}, optional={"env": ENV, "retry": RETRY, "timeout": DURATION}),
                "concurrency": st.fixed_dictionaries({}, optional={"limit": st.integers(1, 5)}),
                "requires": st.fixed_dictionaries({}, optional={"pool": NAME, "labels": REQUIRED}),
                "parameters": st.dictionaries(
                    NAME, st.fixed_dictionaries({}, optional={"default": TEXT, "description": TEXT}), max_size=2
                ),
            },
        )
    )
    metadata = {"alias": draw(NAME), **draw(st.fixed_dictionaries({}, optional={"labels": LABELS, "title": SOME_TEXT}))}
    return {"apiVersion": "v1", "kind": "Job", "metadata": metadata, **top, "steps": steps}


def document(text: str | bytes) -> Document:
    """Return the only document of a sound text."""
    loaded = load(text, "f", CATALOG)
    assert loaded.errors == ()
    (one,) = loaded.documents
    return one


@pytest.mark.promise("C01")
@settings(max_examples=150, deadline=None)
@given(manifests())
def test_canonical_content_comes_back_the_same(manifest: dict[str, Any]) -> None:
    written = document(json.dumps(manifest))
    assert document(to_yaml(written.canonical)).digest == written.digest
    assert document(orjson.dumps(written.canonical)).digest == written.digest
    assert digest(written.canonical) == written.digest


@settings(max_examples=100, deadline=None)
@given(manifests())
def test_a_job_value_is_its_canonical_content(manifest: dict[str, Any]) -> None:
    for step in manifest["steps"]:
        step.pop("replaySafe", None)  # has no meaning, so that the value does not know it
    one = document(json.dumps(manifest))
    assert digest(from_job(one.job)) == one.digest
    assert to_job(from_job(one.job)) == one.job


@settings(max_examples=100, deadline=None)
@given(manifests())
def test_what_lint_takes_the_schema_takes(manifest: dict[str, Any]) -> None:
    assert load(json.dumps(manifest), "f", CATALOG).ok
    assert [error.message for error in SCHEMA.iter_errors(manifest)] == []


@pytest.mark.promise("C05")
@settings(max_examples=150, deadline=None)
@given(manifests(), manifests(), st.booleans())
def test_a_difference_is_seen_exactly_where_digests_differ(
    old: dict[str, Any], new: dict[str, Any], related: bool
) -> None:
    if related:
        new = {**old, "steps": [*old["steps"][:-1], {**old["steps"][-1], **new["steps"][-1], "name": "last"}]}
        new["steps"][-1].pop("dependsOn", None)
    loaded = load(json.dumps(new), "f", CATALOG)
    if not loaded.ok:
        return
    before, after = document(json.dumps(old)), loaded.documents[0]
    changes = diff_jobs(before.canonical, after.canonical)
    assert (changes == []) == (before.digest == after.digest)
    assert all(str(change)[0] in "+-~" and "\n" not in str(change) for change in changes)
