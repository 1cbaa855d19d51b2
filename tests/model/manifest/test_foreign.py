"""Jobs of other systems are read as ours, and what is wrong with them is told at their own lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from windlass.model.manifest.foreign import alias_of
from windlass.model.manifest.load import Document, Loaded

CHARON = Path(__file__).parents[4] / "shared" / "data" / "charon"

pytestmark = pytest.mark.promise("O01")


@pytest.mark.parametrize(
    ("title", "alias"),
    [
        ("Nightly ETL (EU)", "nightly-etl-eu"),
        ("Größe prüfen", "groe-prufen"),
        ("  --  ", "job"),
        ("x" * 100, "x" * 63),
        ("a_b", "a-b"),
        ("😀 run", "run"),
    ],
)
def test_an_alias_is_made_of_a_title(title: str, alias: str) -> None:
    assert alias_of(title) == alias


def test_name_and_steps_are_a_job(document: Callable[[str], Document]) -> None:
    found = document(
        '{"name": "Disk Check", "description": "d", "parameters": {"path": {"type": "string"}},'
        ' "steps": [{"name": "look", "type": "process", "config": {"command": ["df", "${{ parameters.path }}"]}}]}'
    )
    assert found.canonical == {
        "apiVersion": "v1",
        "kind": "Job",
        "metadata": {"alias": "disk-check", "title": "Disk Check"},
        "description": "d",
        "parameters": {"path": {"type": "string"}},
        "steps": [{"name": "look", "type": "process", "config": {"command": ["df", "${{ parameters.path }}"]}}],
    }


def test_a_playbook_is_a_job_of_one_step(document: Callable[[str], Document]) -> None:
    found = document(
        "name: Patch Hosts\nplaybook: site.yml\ninventory: [web1]\nvariables: {a: 1}\n"
        "priority: 10\ntimeout: 5\ntags: [ops]\n"
    )
    assert found.canonical == {
        "apiVersion": "v1",
        "kind": "Job",
        "metadata": {"alias": "patch-hosts", "title": "Patch Hosts", "labels": {"ops": "true"}},
        "priority": 10,
        "timeout": 300,
        "steps": [
            {
                "name": "playbook",
                "type": "ansible.playbook",
                "config": {"playbook": "site.yml", "inventory": ["web1"], "variables": {"a": 1}},
            }
        ],
    }


def test_what_is_wrong_is_told_at_its_own_line(told: Callable[[str], list[str]]) -> None:
    assert told("name: x\nplaybook: site.yml\ninventory: {a: b}\npriority: 99\nretrys: 2\ntimeout: 5\n") == [
        "2:11: warning: not yet in force: ansible.playbook",
        "3:12: inventory must be text or a list, not a mapping",
        "4:11: priority must be one of critical, high, normal, low, or an integer from 1 to 15, not the number 99",
        '5:1: unknown key "retrys" in the job; did you mean "retry"?',
        "6:10: warning: timeout: 5 is read as minutes here; write 5m to say so",
    ]
    assert told('{"name": "x",\n "steps": [{"name": "s", "type": "shell",\n "config": {"run": 5}}]}') == [
        "3:20: run must be text, not the number 5"
    ]


def test_a_manifest_that_lacks_its_kind_is_no_job_of_another_system(told: Callable[[str], list[str]]) -> None:
    assert told("name: a\nmetadata: {alias: a}\nsteps: [{name: s, run: x}]\n") == [
        '1:1: unknown key "name" in the job',
        '1:1: missing key "apiVersion" in the job',
        '1:1: missing key "kind" in the job',
    ]


@pytest.mark.originals
@pytest.mark.skipif(not CHARON.is_dir(), reason="the files of the originals are not here")
@pytest.mark.parametrize("name", ["simple_job.yaml", "long_job.yaml", "ansible_job.yaml"])
def test_real_jobs_lint(name: str, loaded: Callable[[bytes], Loaded]) -> None:
    found = loaded((CHARON / name).read_bytes())
    assert found.errors == ()
    assert found.documents[0].job.steps[0].type == "ansible.playbook"
