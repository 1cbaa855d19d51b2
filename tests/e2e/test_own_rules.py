"""Rules of one's own, installed beside the program as any package would bring them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.stage import HEAD, Socket, apply, serve
from tests.fixtures.program import Windlass

_RULES = """\
def named(job):
    if "owner" not in job["metadata"].get("annotations", {}):
        yield ("metadata",), "a job must name its owner under annotations"

def few(job, values):
    if values.get("copies", 0) > 3:
        yield "copies", "copies must not be more than 3 here"
"""
_POINTS = "[windlass.lint]\nnamed = house_rules:named\n[windlass.parameters]\nfew = house_rules:few\n"
_JOB = (HEAD % "a").replace(
    "alias: a", "alias: a, annotations: {owner: us}"
) + "parameters: {copies: {type: integer, default: 1}}\nsteps: [{name: a, run: echo}]\n"


@pytest.fixture
def installed(tmp_path: Path, windlass: Windlass) -> Path:
    """Install a package of rules for the program alone; return its folder."""
    place = tmp_path / "packages"
    facts = place / "house_rules-1.dist-info"
    facts.mkdir(parents=True)
    (place / "house_rules.py").write_text(_RULES)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: house-rules\nVersion: 1\n")
    (facts / "entry_points.txt").write_text(_POINTS)
    windlass.env["PYTHONPATH"] = str(place)
    return place


@pytest.mark.usefixtures("installed")
@pytest.mark.promise("O02", part="rules of one's own")
def test_installed_rules_are_kept_by_every_door(windlass: Windlass, api: Socket) -> None:
    (windlass.folder / "bare.yaml").write_text(_JOB.replace(", annotations: {owner: us}", ""))
    for command in ("lint", "apply"):
        refused = windlass("job", command, "bare.yaml")
        told = refused.stdout + refused.stderr
        assert (refused.code > 0, "bare.yaml:3:11: a job must name its owner" in told) == (True, True), told
    apply(windlass, _JOB)
    many = windlass("run", "start", "a", "-p", "copies=4")
    assert (many.code, "copies must not be more than 3 here" in many.stderr) == (2, True)
    assert windlass("job", "preview", "a", "-p", "copies=4").code == 2
    serve(windlass)
    status, body = api.raw("POST", "jobs/a/run", b'{"parameters": {"copies": 5}}')
    assert (status, b"copies must not be more than 3 here" in body) == (422, True)
    assert windlass("run", "start", "a", "-p", "copies=3").code == 0


@pytest.mark.promise("O02", part="rules of one's own")
def test_a_rule_that_cannot_be_loaded_is_told_and_lets_nothing_in(windlass: Windlass, installed: Path) -> None:
    (installed / "house_rules.py").write_text("import nothing_such\n")
    (windlass.folder / "job.yaml").write_text(_JOB)
    refused = windlass("job", "apply", "job.yaml")
    assert (refused.code, "cannot be loaded, and nothing is accepted without it" in refused.stderr) == (2, True)
    doctor = windlass("doctor")
    assert (doctor.code, "rule named" in doctor.stdout) == (1, True)
