"""Values and names that no process can take, met only when a step starts: each fails its step in one sentence."""

from __future__ import annotations

import json
from typing import Any

from tests.fixtures.program import Windlass
from tests.security.stage import bounded, everything, written

MIB = 1024**2
#: Steps, and how the error of each begins; None where it completes.
STEPS: dict[str, tuple[dict[str, Any], str | None]] = {
    "long-env": (
        {"run": "true", "env": {"LONG": "x" * 200_000, "SHORT": "x"}},
        'no command takes as much as the environment of "/bin/sh"; its largest variable is LONG with 200,000',
    ),
    "much-env": (
        {"run": "true", "env": {f"A{number}": "x" * 90_000 for number in range(15)}},
        "the variables of the step have 1,350,0",
    ),
    "many-env": ({"run": "true", "env": {f"A{number}": "x" for number in range(20_000)}}, None),
    "long-argument": (
        {"command": ["echo", "x" * 200_000]},
        'no command takes as much as the arguments of "echo"; the largest has 200,000 of 200,004 characters',
    ),
    "much-arguments": (
        {"command": ["true", *["x" * 100_000] * 30]},
        'no command takes as much as the arguments of "true"; the largest has 100,000 of 3,000,004 characters',
    ),
    "many-arguments": ({"command": ["true", *["x"] * 100_000]}, None),
    "long-script": ({"run": "true " + "x " * 500_000}, None),
    "long-value": (
        {"run": "echo ${{ parameters.long }}"},
        "${{ parameters.long }}: has 150,000 bytes, 98,304 fit in a ",
    ),
    "long-value-in-env": (
        {"run": "true", "env": {"A": "${{ parameters.long }}"}},
        "${{ parameters.long }}: has 150,000",
    ),
    "long-value-in-argument": ({"command": ["echo", "${{ parameters.long }}"]}, "${{ parameters.long }}: has 150,000"),
    "nul": (
        {"run": "echo ${{ steps.first.outputs.nul }}"},
        "${{ steps.first.outputs.nul }}: has a NUL character, which",
    ),
    "nul-in-argument": (
        {"command": ["echo", "${{ steps.first.outputs.nul }}"]},
        "${{ steps.first.outputs.nul }}: has a NUL",
    ),
    "nul-in-env": (
        {"run": "true", "env": {"A": "${{ steps.first.outputs.nul }}"}},
        "${{ steps.first.outputs.nul }}: has a NUL",
    ),
    "nothing": ({"run": "echo ${{ parameters.none }}"}, '${{ parameters.none }}: parameters has no "none"; where'),
    "empty-program": ({"command": [""]}, 'the program "" was not found; give its full path'),
    "long-program": ({"command": ["x" * 5000]}, f'the program "{"x" * 200}" was not found; give its full path'),
    "folder": ({"command": ["/"]}, 'the program "/" may not be started: Permission denied'),
    "text": ({"command": ["./text"]}, '"./text" is neither a program of this machine nor a script with a first line'),
    "no-folder": ({"run": "true", "config": {"working_directory": "none"}}, "working_directory "),
    "file-as-folder": (
        {"run": "true", "config": {"working_directory": "/etc/passwd"}},
        "working_directory /etc/passwd is",
    ),
    "long-folder": ({"run": "true", "config": {"working_directory": "x" * 5000}}, "working_directory "),
    "division": (
        {"run": "true", "when": "${{ 1 / parameters.zero > 0 }}"},
        "${{ 1 / parameters.zero > 0 }}: division by zero",
    ),
    "no-boolean": (
        {"run": "true", "when": "${{ parameters.zero + 0 }}"},
        "${{ parameters.zero + 0 }}: `when` must give true or false",
    ),
    "overflow": (
        {"run": "echo ${{ 9223372036854775807 + size([1]) }}"},
        "${{ 9223372036854775807 + size([1]) }}: a number needs",
    ),
    "turns": (
        {"run": "true", "when": "${{ parameters.list.all(a, parameters.list.all(b, a <= b)) }}"},
        "${{ parameters.list.all(a, parameters.list.all(b, a <= b)) }}: its loops could take 18,000,000 turns",
    ),
    "doubling": (
        {"run": "echo ${{ [parameters.list].map(a, a + a + a + a + a + a + a)[0].map(b, b + b) }}"},
        "${{ [parameters.list].map(a, a + a + a + a + a + a + a)[0].map(b, b + b) }}: its loops could take",
    ),
    "regex": ({"run": "true", "when": "${{ parameters.long.matches('(a|aa)+$') }}"}, None),
    "regex-work": (
        {"run": "true", "when": "${{ parameters.long.matches('(a{1,100}){1,100}$') }}"},
        "${{ parameters.long.matches('(a{1,100}){1,100}$') }}: its regular expressions are too much work",
    ),
    "artifacts": (
        {
            "run": "ln -s /etc/passwd link; mkfifo pipe",
            "artifacts": ["../../../etc/passwd", "/etc/passwd", "link", "pipe"],
        },
        None,
    ),
    "folder-in-itself": ({"run": "mkdir inner; ln -s .. inner/outer", "artifacts": ["inner/**/*"]}, None),
    "globs": (
        {
            "run": f"mkdir -p deep/{'/'.join('abcdefgh' * 3)}; touch {'a' * 200}",
            "artifacts": ["**/" * 200 + "x", "*a" * 80 + "b"],
        },
        None,
    ),
}
PARAMETERS = {
    "long": {"type": "string", "default": "a" * 150_000},
    "none": {},
    "zero": {"type": "integer", "default": 0},
    "list": {"type": "array", "default": list(range(3000))},
}
FIRST = {"name": "first", "run": r"""echo '##windlass::output {"nul": "a\u0000b"}' """}


def test_each_fails_its_step_in_one_sentence(windlass: Windlass) -> None:
    steps = [FIRST, *({"name": name, "dependsOn": "first", **step} for name, (step, _) in STEPS.items())]
    head = {"apiVersion": "v1", "kind": "Job", "metadata": {"alias": "job"}, "parameters": PARAMETERS}
    written(windlass, json.dumps({**head, "steps": steps}), "job.json")
    (windlass.folder / "text").write_text("no program")
    (windlass.folder / "text").chmod(0o755)
    done = bounded(windlass, "exec", "job.json", memory=4 * 1024 * MIB)
    assert done.code == 1
    assert all(": warning: " in line for line in done.stderr.splitlines())
    (run,) = everything(windlass)["run"]
    tasks = {task["step"]: task for task in windlass("run", "get", run["id"], "--json").json()["tasks"]}
    for name, (_, sentence) in STEPS.items():
        task = tasks[name]
        assert (task["state"] == "completed") == (sentence is None), task
        told = "" if task["error"] is None else task["error"]["message"]
        assert sentence is None or told.startswith(sentence), (name, told[:300])
        assert len(told) < 400
        assert "Error" not in told
    assert windlass("run", "artifacts", run["id"], "--json").json() == []
