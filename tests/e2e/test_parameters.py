"""Parameters of runs on the way from the command line into steps: checked by type, never read as code."""

from __future__ import annotations

import json
from typing import Final

import pytest

from tests.e2e.stage import Socket, serve
from tests.fixtures.program import Windlass

_TYPED: Final = """\
apiVersion: v1
kind: Job
metadata: {alias: typed}
parameters:
  name: {type: string, pattern: "^[a-z]+$", required: true}
  region: {type: string, enum: [eu, us], default: eu}
  day: {type: string, format: date}
  copies: {type: integer, minimum: 1, default: 1}
  ratio: {type: number, default: 0.5}
  dry: {type: boolean, default: false}
  tags: {type: array, items: {type: string}, default: []}
  limits: {type: object, default: {}}
steps:
  - {name: show, run: "true"}
"""
_REFUSED: Final = {
    "region=mars": 'region must be one of eu, us, not "mars"',
    "day=2026-02-30": "day must be a date such as",
    "copies=x": 'copies must be an integer, not "x"',
    "copies=0": "copies must be at least 1",
    "ratio=much": 'ratio must be a number, not "much"',
    "dry=maybe": 'dry must be true or false, not "maybe"',
    "tags=a": "tags must be a list as JSON",
    "tags=[1]": "tags[0] must be text",
    "limits=[]": "limits must be a mapping as JSON",
    "colour=red": 'unknown parameter "colour"',
    "name=rows": 'The parameter "name" is given twice.',
    "name": "A parameter is given as name=value",
}
_HOSTILE: Final = """\
apiVersion: v1
kind: Job
metadata: {alias: hostile}
parameters:
  text: {type: string}
steps:
  - name: argument
    type: process
    config: {command: [printf, "%s", "${{ parameters.text }}"]}
  - name: bare
    run: printf '%s' ${{ parameters.text }}
  - name: quoted
    run: printf '%s' "${{ parameters.text }}"
  - name: variable
    run: printf '%s' "$WINDLASS_PARAM_TEXT"
"""


def _apply(windlass: Windlass, text: str) -> None:
    (windlass.folder / "job.yaml").write_text(text)
    applied = windlass("job", "apply", "job.yaml")
    assert applied.code == 0, applied.stderr


@pytest.mark.promise("O02", part="types and checks")
def test_parameters_of_every_type_are_taken(windlass: Windlass) -> None:
    _apply(windlass, _TYPED)
    given = ("name=rows", "region=us", "day=2026-02-28", "copies=3", "ratio=1.25", "dry=true", 'tags=["a","b"]')
    options = [part for pair in (*given, 'limits={"rows": 7}') for part in ("-p", pair)]
    assert windlass("--json", "run", "start", "typed", *options).json()["parameters"] == {
        "name": "rows",
        "region": "us",
        "day": "2026-02-28",
        "copies": 3,
        "ratio": 1.25,
        "dry": True,
        "tags": ["a", "b"],
        "limits": {"rows": 7},
    }
    by_default = windlass("--json", "run", "start", "typed", "-p", "name=rows").json()["parameters"]
    assert by_default.items() >= {"region": "eu", "copies": 1, "ratio": 0.5, "dry": False}.items()
    assert (by_default["tags"], by_default["limits"]) == ([], {})


@pytest.mark.promise("O02", part="types and checks")
def test_parameters_that_do_not_fit_are_refused_in_one_sentence(windlass: Windlass) -> None:
    _apply(windlass, _TYPED)
    for given, sentence in _REFUSED.items():
        refused = windlass("run", "start", "typed", "-p", "name=rows", "-p", given)
        assert (refused.code, refused.stdout) == (2, "")
        assert refused.stderr.startswith(f"windlass: {sentence}")
        assert refused.stderr.count("\n") == 1
    misfit = windlass("run", "start", "typed", "-p", "name=9")
    assert (misfit.code, misfit.stderr.count("\n")) == (2, 1)
    assert misfit.stderr.startswith("windlass: name ")
    missing = windlass("run", "start", "typed")
    assert (missing.code, missing.stderr) == (2, 'windlass: missing parameter "name".\n')
    assert windlass("--json", "run", "list").json() == []


@pytest.mark.promise("O02", part="types and checks")
def test_all_that_does_not_fit_is_refused_over_http_too(windlass: Windlass, api: Socket) -> None:
    _apply(windlass, _TYPED)
    serve(windlass)
    wrong = {"region": "mars", "copies": 0, "ratio": "much", "dry": "maybe", "tags": [1], "limits": [], "colour": "red"}
    status, content = api.raw("POST", "jobs/typed/run", json.dumps({"parameters": wrong}).encode())
    assert status == 422
    detail = json.loads(content)["detail"]
    assert [name for name in (*wrong, 'missing parameter "name"') if name not in detail] == []
    good = api("POST", "jobs/typed/run", {"parameters": {"name": "rows", "copies": 2, "tags": ["a"]}})
    assert good["parameters"].items() >= {"name": "rows", "copies": 2, "tags": ["a"], "region": "eu"}.items()
    assert [run["id"] for run in api("GET", "runs")["items"]] == [good["id"]]


@pytest.mark.promise("O03", part=("sh", "argument lists"))
def test_hostile_text_arrives_as_it_is_and_runs_nothing(windlass: Windlass) -> None:
    marker = windlass.folder / "marker"
    text = (
        f"'; touch {marker}; \" $(touch {marker}) `touch {marker}` ${{HOME}} ${{{{ parameters.text }}}} \\ * ~ #"
        f" & | <x >y\n-- $'\\x27' %s !! é 漢\t\ntouch {marker}\n$((1+1)) end"
    )
    _apply(windlass, _HOSTILE)
    serve(windlass)
    run = windlass("--json", "run", "start", "hostile", "-p", f"text={text}", "--wait").json()
    assert run["state"] == "completed", run
    assert run["parameters"] == {"text": text}
    for step in ("argument", "bare", "quoted", "variable"):
        assert windlass("run", "logs", run["id"], "--step", step, "--raw").stdout == text, step
    assert not marker.exists()
