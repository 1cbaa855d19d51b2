"""Manifests that are wrong or made to hurt, through the command line: one sentence with its place, nothing stored."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from tests.fixtures.program import Windlass
from tests.model.manifest.hostile_texts import TEXTS
from tests.security.stage import HEAD, OK, bounded, everything, one_sentence, peak, up, written
from tests.security.wrong_values import wrong_manifests

MIB = 1024**2
PLACE = re.compile(r"[^:]+:\d+:\d+: ")
STEPS = "steps: [{name: a, run: x}]\n"


def field(text: str) -> str:
    """Return a manifest with a further field."""
    return HEAD % "bad" + text + "\n" + STEPS


def step(text: str) -> str:
    """Return a manifest whose only step has these fields."""
    return HEAD % "bad" + f"steps: [{{name: a, {text}}}]\n"


#: Manifests that are wrong in one place, with what is said of it.
WRONG: dict[str, str] = {
    "a: [": "2:1: this is no YAML: did not find expected node content",
    "a: b: c": "1:5: this is no YAML: mapping values are not allowed in this context",
    "a: *b": "1:4: the alias *b names no anchor above it",
    "- a\nb: c": "2:1: this is no YAML: ",
    '{"a": 1,}': '1:2: unknown key "a" in the job',
    "[]": "1:1: a document must be a mapping with apiVersion and kind, not a list",
    "5": "1:1: a document must be a mapping with apiVersion and kind, not the number 5",
    "%YAML 1.1\n---\n" + OK: "1:1: manifests are YAML 1.2; remove the line %YAML 1.1",
    field("failFast: yes"): '4:11: failFast must be true or false, not "yes"',
    field("failFast: on"): '4:11: failFast must be true or false, not "on"',
    field("priority: 1_0"): "4:11: priority must be one of critical, high, normal, low, or an integer from 1 to 15",
    field("priority: 016"): "4:11: priority must be one of critical, high, normal, low, or an integer from 1 to 15",
    field("timeout: 1:30"): '4:10: timeout must be a duration such as 30s, 15m or 1h30m, not "1:30"',
    field("timeout: 1_000"): '4:10: timeout must be a duration such as 30s, 15m or 1h30m, not "1_000"',
    field("timeout: .inf"): "4:10: .inf is no number that JSON has",
    field("timeout: -.INF"): "4:10: -.INF is no number that JSON has",
    field("timeout: .nan"): "4:10: .nan is no number that JSON has",
    field("timeout: 0"): "4:10: timeout must be longer than 0s",
    field("timeout: -1s"): '4:10: timeout must be a duration such as 30s, 15m or 1h30m, not "-1s"',
    field("description: 012"): "4:14: description must be text, not the number 12",
    field("description: 0x1F"): "4:14: description must be text, not the number 31",
    field("<<: {queue: x}"): "4:1: merge keys (<<) are not allowed; write the keys out",
    field("queue: !!str 5"): "4:8: tags such as !!str are not allowed",
    field("queue: !!binary aGk="): "4:8: tags such as !!binary are not allowed",
    field("? [a]\n: b"): "4:5: a key must be text, not a list or mapping",
    field("1: b"): '4:1: the key 1 is not text; put it in quotes: "1"',
    field("~: b"): '4:1: the key ~ is not text; put it in quotes: "~"',
    field("true: b"): '4:1: the key true is not text; put it in quotes: "true"',
    field("queue: a\nqueue: b"): '5:1: duplicate key "queue"',
    field('"que\\x75e": a\nqueue: b'): '5:1: duplicate key "queue"',
    field("queu: a"): '4:1: unknown key "queu" in the job; did you mean "queue"?',
    field('"\\e[31m": 1'): r'4:1: unknown key "\x1b[31m" in the job',
    field('"a\\nb": 1'): r'4:1: unknown key "a\nb" in the job',
    field('description: "\\0"'): "4:14: the text holds a NUL character",
    field("apiVersion: v1"): '4:1: duplicate key "apiVersion"',
    HEAD % ("a" * 64) + STEPS: "3:19: alias must be 1 to 63 small letters, digits, - or _",
    HEAD % ("x" * 100_000) + STEPS: "3:19: alias must be 1 to 63 small letters, digits, - or _",
    HEAD % "..": "3:19: alias must be 1 to 63 small letters, digits, - or _, the first a letter or digit (such as",
    HEAD % "bad": '1:1: missing key "steps" in the job',
    HEAD % "bad" + "steps:": '1:1: missing key "steps" in the job',
    step("name: a, run: x"): '4:19: duplicate key "name"',
    step("run: 12"): "4:24: run must be text, not the number 12",
    step("run: x, dependsOn: a"): '4:38: dependsOn of "a" names the step itself',
    step("run: x, next: a"): '4:33: next of "a" names the step itself',
    step("run: x, next: b}, {name: b, run: x, next: a"): ("4:9: the steps wait for each other in a cycle: a -> b -> a"),
    step("run: x, next: b, dependsOn: c}, {name: b, run: x, next: c}, {name: c, run: x"): (
        "4:9: the steps wait for each other in a cycle: a -> b -> c -> a"
    ),
    step("run: x}, {name: a_b, run: x}, {name: a-b, run: x"): '4:56: the step names "a_b" and "a-b" are equal once - ',
    step(r'command: [echo, "a\0b"]'): r"4:35: the text holds a NUL character (\0), which no command, variable",
    step(r'run: x, env: {A: "\0"}'): r"4:36: the text holds a NUL character (\0), which no command, variable",
    step("run: x, env: {A B: c}"): '4:33: "A B" is not the name of a variable',
    step("run: x, env: {A=B: c}"): '4:33: "A=B" is not the name of a variable',
    step("run: x, env: {A: [c]}"): "4:36: A must be text, a number or a boolean, not a list",
    step("command: []"): "4:28: command must have at least 1 entry",
    step("run: 'echo ${{ nope }}'"): '4:24: ${{ nope }}: unknown name "nope"',
    step("run: 'echo ${{ steps.b.state }}'"): '4:24: ${{ steps.b.state }}: unknown step "b"',
    step("run: 'echo ${{ steps.a.state }}'"): '4:24: ${{ steps.a.state }}: step "a" does not come before this one',
    step("run: 'echo ${{ 1 + }}'"): "4:24: ${{ 1 + }}: it ends too early",
    step("run: 'echo ${{ }}'"): "4:24: ${{ }}: it is empty",
    step("run: 'echo ${{ '"): "4:24: line 1: ${{ has no }}; write $${{ for a literal ${{",
    step('run: x, when: "${{ [1].all(a, [1].all(b, [1].all(c, a == b))) }}"'): (
        "4:33: ${{ [1].all(a, [1].all(b, [1].all(c, a == b))) }}: its loops are nested 3 deep, 2 is allowed"
    ),
    step("run: 'echo ${{ [1].map(a, a) + [1].map(a, a) + [1].map(a, a) + [1].map(a, a) + [1].map(a, a) }}'"): (
        "4:24: ${{ [1].map(a, a) + [1].map(a, a) + [1].map(a, a) + [1].map(a, a) + [1].map(a, a)"
    ),
    step('run: x, when: \'${{ "%s" == "" }}\'' % ("x" * 9000)): "4:33: ${{ ",
    step("run: 'eval ${{ parameters.x }}'"): "4:24: line 1: ${{ parameters.x }} ",
    step("type: sehll, config: {}"): '4:25: unknown step type "sehll"; did you mean "shell"?',
    '{"' + "k" * 100_000 + '": 1}': '1:2: unknown key "kkkk',
    field("trigger: {type: %s}" % ("x" * 5000)): "4:17: ",
    field("rateLimits: [{resource: r, window: 1m}]").replace("run: x", "run: x, rateLimit: {resource: r, units: 5}"): (
        '4:14: missing key "limit" in a rate limit'
    ),
    step("run: x, matrix: {n: [1, 1]}"): "4:39: matrix.n has the same value twice",
}


def test_each_wrong_manifest_is_told_with_its_place(windlass: Windlass) -> None:
    names = {}
    for number, text in enumerate(WRONG):
        names[f"{number:03}.yaml"] = text
        written(windlass, text, f"{number:03}.yaml")
    said = bounded(windlass, "job", "lint", *names)
    assert said.code == 1
    lines = said.stdout.splitlines()
    for name, text in names.items():
        told = [line.removeprefix(f"{name}:") for line in lines if line.startswith(f"{name}:")]
        assert any(line.startswith(WRONG[text]) for line in told), (text, told)
    assert all(PLACE.match(line) and line.isprintable() and len(line) < 1100 for line in lines)


@pytest.mark.parametrize(("command", "half"), [(("job", "apply", "ok.yaml"), 0), (("exec",), 1)])
def test_a_server_refuses_each_hostile_text_and_keeps_nothing(
    windlass: Windlass, command: tuple[str, ...], half: int
) -> None:
    server = up(windlass)
    written(windlass, OK, "ok.yaml")
    assert windlass("job", "apply", "ok.yaml").code == 0
    before = everything(windlass)
    for text, sentence in list(TEXTS.values())[half::2]:
        written(windlass, text, "hostile.yaml")
        said = windlass(*command, "hostile.yaml")
        assert (said.code, said.stdout) == (2, ""), said
        lines = said.stderr.splitlines()
        if lines[0].startswith("windlass: "):  # the client itself cannot read it as text
            place = re.match(r"\d+", sentence)
            assert place is not None
            assert one_sentence(said).startswith(f"hostile.yaml:{place[0]}: the file ")
        else:
            assert any(line.startswith(f"hostile.yaml:{sentence}") for line in lines), lines[:3]
        assert all(line.isprintable() and len(line) < 600 for line in lines)
    assert everything(windlass) == before
    assert peak(server) < 512 * MIB


@pytest.mark.slow
def test_all_hostile_texts_are_checked_in_bounded_time_and_memory(windlass: Windlass) -> None:
    names = [f"{number:03}.yaml" for number in range(len(TEXTS))]
    for name, (text, _) in zip(names, TEXTS.values(), strict=True):
        written(windlass, text, name)
    said = bounded(windlass, "job", "lint", *names)
    assert said.code == 1, said.stderr[-500:]
    assert {line.partition(":")[0] for line in said.stdout.splitlines()} == {*names}
    assert re.fullmatch(r"[0-9,]+ errors, [0-9,]+ warnings\n", said.stderr)


def test_every_field_with_every_wrong_type_is_told_where_it_stands(windlass: Windlass) -> None:
    """As many documents as do not exceed what is told of one text stand in each file, one a line."""
    wrong = list(wrong_manifests())
    assert len(wrong) > 4000
    names = []
    for first in range(0, len(wrong), 100):
        names.append(f"{first:05}.yaml")
        lines = (one.text(alias=f"job-{number}") for number, one in enumerate(wrong[first : first + 100], first))
        written(windlass, "\n---\n".join(lines), names[-1])
    said = bounded(windlass, "job", "lint", "--json", *names)
    assert (said.code, said.stderr) == (1, "")
    told: dict[int, list[list[str | int]]] = {}
    for error in said.json()["errors"]:
        assert error["message"].isprintable()
        assert len(error["message"]) < 400
        told.setdefault(int(error["file"][:5]) + error["line"] // 2, []).append(error["path"])
    for number, one in enumerate(wrong):
        assert any(
            path == list(one.spot[: len(path)]) or list(one.spot) == path[: len(one.spot)] for path in told[number]
        )
    refused = windlass("job", "apply", *names[:5])
    assert (refused.code, refused.stdout) == (2, "")
    held = windlass("job", "apply", "--per-document", "--json", *names)
    assert (held.code, held.json()["created"]) == (1, [])
    assert not any(everything(windlass).values())


#: What YAML 1.1 would make another value of.
TEXT_IN_YAML_1_2 = [
    "no",
    "off",
    "y",
    "1:30",
    "190:20:30",
    "2026-01-01",
    "2026-01-01T00:00:00Z",
    "1_000",
    "0b11",
    "+.5e",
]
NUMBERS_IN_YAML_1_2 = {"012": 12, "0o17": 15, "0x1F": 31, "1e3": 1000.0, "+1": 1, "-0": 0}


def test_scalars_are_those_of_yaml_1_2(windlass: Windlass) -> None:
    labels = ", ".join(f"t{number}: {text}" for number, text in enumerate(TEXT_IN_YAML_1_2))
    parameters = ", ".join(f"n{at}: {{type: number, default: {text}}}" for at, text in enumerate(NUMBERS_IN_YAML_1_2))
    manifest = f"apiVersion: v1\nkind: Job\nmetadata: {{alias: traps, labels: {{{labels}}}}}\n"
    written(windlass, f"{manifest}parameters: {{{parameters}}}\ntimeout: ~\nqueue: null\n{STEPS}", "traps.yaml")
    assert windlass("job", "apply", "traps.yaml").code == 0
    definition: Mapping = windlass("job", "get", "traps", "--json").json()["definition"]
    assert list(definition["metadata"]["labels"].values()) == TEXT_IN_YAML_1_2
    defaults = [one["default"] for one in definition["parameters"].values()]
    assert defaults == list(NUMBERS_IN_YAML_1_2.values())
    assert "timeout" not in definition
    assert "queue" not in definition
