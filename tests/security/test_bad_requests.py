"""Requests that are wrong: one sentence with what, where and what to do, exit status 2, and nothing is changed."""

from __future__ import annotations

import re

import pytest

from tests.fixtures.program import Windlass
from tests.security.stage import OK, everything, one_sentence, up, written

PARAMETERS = """\
apiVersion: v1
kind: Job
metadata: {alias: typed}
parameters:
  text: {type: string, default: x, maxLength: 10, pattern: "^[a-z]*$"}
  whole: {type: integer, default: 1, minimum: 0, maximum: 5}
  big: {type: integer, default: 1}
  number: {type: number, default: 1.5}
  flag: {type: boolean, default: false}
  list: {type: array, items: {type: integer}, default: [1]}
  map: {type: object, default: {}, properties: {k: {type: string}}}
  day: {type: string, format: date, default: "2026-01-01"}
  slow: {type: string, default: a, pattern: "^(a+)+$"}
  token: {type: string, secret: true, default: "secret://env/TOKEN", minLength: 8}
  must: {type: string, required: true}
steps: [{name: a, run: 'echo ${{ parameters.text }}'}]
"""

#: What is given after `-p must=x -p`, and what is said.
WRONG_PARAMETERS: dict[str, str | None] = {
    "": 'A parameter is given as name=value, not "".',
    "text": 'A parameter is given as name=value, not "text".',
    "=x": 'A parameter is given as name=value, not "=x".',
    "must=y": 'The parameter "must" is given twice.',
    "Text=x": 'unknown parameter "Text"; did you mean "text"?',
    "__proto__=x": 'unknown parameter "__proto__"; the job takes text, whole, big, number, ',
    "text=ABC": 'text must match ^[a-z]*$, not "ABC"',
    "text=aaaaaaaaaaaaaaa": "text must have at most 10 characters",
    "text=": None,
    "whole=1.5": 'whole must be an integer, not "1.5"',
    "whole=0x1": 'whole must be an integer, not "0x1"',
    "whole=٣": 'whole must be an integer, not "٣"',
    "whole=": 'whole must be an integer, not ""',
    "whole=-1": "whole must be at least 0, not the number -1",
    "whole=6": "whole must be at most 5, not the number 6",
    "big=9999999999999999999": "an integer does not fit into 64 bits; give it as text",
    "big=" + "9" * 5000: 'big must be an integer, not "9999999999999999999999999999999999999999..."',
    "number=nan": 'number must be a number, not "nan"',
    "number=1e999": 'number must be a number, not "1e999"',
    "flag=yes": 'flag must be true or false, not "yes"',
    "flag=TRUE": 'flag must be true or false, not "TRUE"',
    "list=1": 'list must be a list as JSON, such as ["a", "b"], not "1"',
    'list=[1,"x"]': 'list[1] must be an integer, not "x"',
    "list=" + "[" * 50_000: "list must be a list as JSON",
    "map=[]": 'map must be a mapping as JSON, such as {"a": 1}, not "[]"',
    'map={"k":"a","k":"b"}': "map must be a mapping as JSON",
    "map=" + '{"a":' * 900 + "1" + "}" * 900: "parameters must be JSON: Recursion limit reached",
    "day=2026-02-30": 'day must be a date such as 2026-11-22, not "2026-02-30"',
    "slow=" + "a" * 60 + "!": "slow must match",
    "token=short": "token must have at least 8 characters",
    "token=secret://nowhere/x": "token: unknown source of secrets",
    "text=\udcff": "The request holds bytes that are not UTF-8",
    "map=" + '{"k": "%s"}' % ("x" * 130_000): None,
}


@pytest.mark.promise("O02")
def test_wrong_parameters_are_named_and_nothing_starts(windlass: Windlass) -> None:
    written(windlass, PARAMETERS, "typed.yaml")
    windlass("job", "apply", "typed.yaml")
    up(windlass, TOKEN="x" * 20, WINDLASS_QUEUES="nobody-serves-this")
    before = everything(windlass)
    accepted = 0
    for text, sentence in WRONG_PARAMETERS.items():
        said = windlass("run", "start", "typed", "-p", "must=x", "-p", text)
        if sentence is None:
            assert said.code == 0, said
            accepted += 1
        else:
            assert sentence in one_sentence(said), text[:40]
            assert "short" not in said.stderr
    assert "missing parameter" in one_sentence(windlass("run", "start", "typed"))
    after = everything(windlass)
    assert after["job"] == before["job"]
    assert len(after["run"]) == accepted


WRONG_OPTIONS: list[tuple[list[str], str]] = [
    (["--at", ""], '--at: "" is no time such as 2026-01-31T12:00'),
    (["--at", "tomorrow"], '--at: "tomorrow" is no time such as'),
    (["--at", "2026-13-01"], "is no time such as"),
    (["--at", "99999-01-01"], "is no time such as"),
    (["--at", "0001-01-01"], "is no time such as"),
    (["--at", "9999-12-31T23:59:59-23:59"], "is no time such as"),
    (["--at", "12:00"], "is no time such as"),
    (["--at", "x" * 100_000], "is no time such as"),
    (["--in", ""], '--in: "" is no duration such as 90s, 15m or 1h30m.'),
    (["--in", "-5s"], "is no duration such as"),
    (["--in", "1e9"], "is no duration such as"),
    (["--in", "99999d"], "is no duration such as"),
    (["--in", "1h", "--at", "2030-01-01"], "--at and --in: give one of them."),
    (["--after", "01a20241:"], 'There is no condition ""; one of success, always, failure is meant.'),
    (["--priority", "urgent"], 'Priority "urgent" is none of critical, high, normal, low and no number from 1 to 15.'),
    (["--priority", ""], 'Priority "" is none of'),
    (["--priority", "0"], 'Priority "0" is none of'),
    (["--priority", "16"], 'Priority "16" is none of'),
    (["--priority", "5.0"], 'Priority "5.0" is none of'),
    (["--key", ""], "--key: an idempotency key has 1 to 200 printable characters of ASCII."),
    (["--key", "a\nb: c"], "--key: an idempotency key has"),
    (["--key", "é"], "--key: an idempotency key has"),
    (["--key", "\x1b[31m"], "--key: an idempotency key has"),
    (["--key", "x" * 201], "--key: an idempotency key has 1 to 200 printable characters of ASCII."),
    (["--revision", "0"], 'Job "ok" has no revision 0; its newest is 1.'),
    (["--revision", "x"], 'Job "ok" has no revision with the tag "x"; `windlass job history ok` lists its tags.'),
    (["--revision", "99"], 'Job "ok" has no revision 99; its newest is 1.'),
    (["--revision", "9" * 20], f'Job "ok" has no revision {"9" * 20}; its newest is 1.'),
    (["-l", "x"], 'A label is given as name=value, not "x".'),
    (["-l", "a=1", "-l", "a=2"], 'The label "a" is given twice.'),
    (["--note", "x" * 4001], "note must have at most 4000 characters"),
    (["--project", "nope"], 'There is no job "ok" in project nope; `windlass job list` lists'),
    (["--project", "../x"], '--project: "../x" is no name of a project: small letters'),
    (["--nope"], "No such option '--nope'."),
    (["extra"], "Got unexpected extra argument (extra)."),
]


def test_wrong_options_are_named_and_nothing_starts(windlass: Windlass) -> None:
    written(windlass, OK, "ok.yaml")
    windlass("job", "apply", "ok.yaml")
    up(windlass)
    before = everything(windlass)
    for options, sentence in WRONG_OPTIONS:
        said = one_sentence(windlass("run", "start", "ok", *options))
        assert sentence in said
        assert len(said) < 400
    assert everything(windlass) == before


NAMES = [
    "..",
    ".",
    "/",
    "../..",
    "%2e%2e",
    "%2f",
    "a%00b",
    "ok?x=1",
    "ok#x",
    "ok;x",
    "OK",
    "ok ",
    "",
    "-",
    "\x1b[31mred",
]
NAMES += [
    "a\nb",
    "\u202egnp",
    "x" * 64,
    "x" * 120_000,
    "\udcff",
    "0",
    "00000000-0000-0000-0000-000000000000",
    "*",
    "%",
    "_",
]
NAMES += ["' OR 1=1 --", "01a20000"]


@pytest.mark.parametrize("noun", ["job", "run"])
def test_unknown_names_are_told_without_what_a_terminal_would_act_on(windlass: Windlass, noun: str) -> None:
    written(windlass, OK, "ok.yaml")
    windlass("job", "apply", "ok.yaml")
    up(windlass)
    before = everything(windlass)
    commands = {"job": [("job", "delete"), ("run", "start")], "run": [("run", "cancel"), ("run", "logs", "--raw")]}[
        noun
    ]
    for command in commands:
        for name in NAMES:
            said = one_sentence(windlass(*command, "--", name))
            assert re.match(
                rf'There is no {noun} |"\.*" names nothing; give the name or id|The request holds bytes that are not',
                said,
            ), name
            assert said.isprintable()
            assert "\u202e" not in said
            assert len(said) < 400
    assert everything(windlass) == before
