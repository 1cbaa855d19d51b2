"""Texts that are made to hurt: each is refused in one clear sentence, in little time and memory."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable

import pytest

from windlass.model.manifest.load import Loaded

pytestmark = pytest.mark.promise("C02")

HEAD = "apiVersion: v1\nkind: Job\nmetadata: {alias: a}\n"
ONE = "steps:\n- {name: s, run: x}\n"


def laughs(depth: int) -> str:
    """Return a text whose aliases stand for nine times as much with every line."""
    first = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    names = "abcdefghijk"
    return first + "".join(
        f"{names[level + 1]}: &{names[level + 1]} [{', '.join([f'*{names[level]}'] * 9)}]\n" for level in range(depth)
    )


def steps(count: int, more: Callable[[int], str] = lambda _: "") -> str:
    """Return `count` steps."""
    return "steps:\n" + "".join(f"- {{name: s{number}, run: x{more(number)}}}\n" for number in range(count))


def names(first: int, last: int) -> list[str]:
    """Return the names of steps from `first` to before `last`."""
    return [f"s{number}" for number in range(first, last)]


#: Texts, and how the only finding, or the first of several, begins.
TEXTS: dict[str, tuple[str | bytes, str]] = {
    "open brackets": ("[" * 100_000, "1:65: values are nested more than 64 deep, the limit"),
    "brackets": ("[" * 100_000 + "]" * 100_000, "1:65: values are nested more than 64 deep, the limit"),
    "brackets in JSON": (
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
        "1:69: values are nested more than 64 deep, the limit",
    ),
    "braces": ("{" * 100_000, "1:65: values are nested more than 64 deep, the limit"),
    "dashes": ("- " * 100_000, "1:129: values are nested more than 64 deep, the limit"),
    "questions": ("? " * 100_000, "1:129: values are nested more than 64 deep, the limit"),
    "stairs": (
        "\n".join(" " * level + "a:" for level in range(500)) + "\n",
        "65:65: values are nested more than 64 deep, the limit",
    ),
    "deep parameters": (
        HEAD + "parameters: {p: " + "{type: array, items: " * 100 + "{}" + "}" * 101 + "\n" + ONE,
        "4:1319: values are nested more than 64 deep, the limit",
    ),
    "billion laughs": (laughs(9), "4:8: aliases are replaced more than 100 times, the limit"),
    "many aliases": (
        "a: &a [x]\nb: [" + "*a, " * 101 + "]\n",
        "2:405: aliases are replaced more than 100 times, the limit",
    ),
    "large aliases": (
        f'a: &a "{"x" * 1_000_000}"\nb: [' + "*a, " * 90 + "]\n",
        "2:37: aliases repeat more than 8,388,608 characters, the limit",
    ),
    "aliases of many values": (
        "a: &a [" + "1, " * 200_000 + "]\nb: [" + "*a, " * 90 + "]\n",
        "2:17: the text has more than 1,000,000 values, the limit",
    ),
    "an alias inside of itself": ("a: &a [*a]\n", "1:8: the alias *a stands inside of what it names"),
    "many values": ("[" + "1, " * 1_000_001 + "]", "1:2999999: the text has more than 1,000,000 values, the limit"),
    "too large": ("#" * 8_388_609, "1:1: the text has 8,388,609 bytes, over the limit of 8,388,608"),
    "too large in UTF-8": ("é" * 4_194_305, "1:1: the text has 8,388,610 bytes, over the limit of 8,388,608"),
    "nothing but documents": ("---\n" * 200_000, "1:1: the text holds no document"),
    "nothing but spaces": (" " * 4_000_000, "1:1: the text holds no document"),
    "a long word": ("x" * 4_000_000, "1:1: a document must be a mapping with apiVersion and kind, not"),
    "a long number": (HEAD + "priority: " + "9" * 1_000_000 + "\n" + ONE, "4:11: the integer 999999999999999999"),
    "a large exponent": (HEAD + "timeout: 1e" + "9" * 100_000 + "\n" + ONE, "4:10: the number 1e9999999999999999"),
    "a long quote": ('"' + "\\n" * 1_000_000, "1:2000002: this is no YAML: found unexpected end of stream"),
    "many unknown keys": (
        HEAD + ONE + "".join(f"key{number}: 1\n" for number in range(50_000)),
        '6:1: unknown key "key0"',
    ),
    "many duplicate keys": (HEAD + ONE + "queue: a\n" * 50_000, '7:1: duplicate key "queue"'),
    "many tags": (HEAD + "queue: [" + "!x a, " * 50_000 + "]\n" + ONE, "4:9: tags such as !x are not allowed"),
    "too many steps": (HEAD + steps(20_001), "4:1: the job has 20,001 steps, over the limit of 20,000"),
    "too many edges": (
        HEAD
        + steps(
            7000,
            lambda number: f", dependsOn: [{', '.join(f's{other}' for other in range(max(0, number - 30), number))}]",
        ),
        "4:1: the job has 209,535 edges, over the limit of 200,000",
    ),
    "a long cycle": (
        HEAD + steps(20_000, lambda number: f", dependsOn: s{(number + 1) % 20_000}"),
        "5:3: the steps wait for each other in a cycle: s0 -> s19999 -> s19998 -> s19997 -> s19996 -> s19995 -> s19994",
    ),
    "many unknown edges": (
        HEAD + steps(3000, lambda number: f", dependsOn: [a{number}, b{number}, c{number}]"),
        '5:34: dependsOn names an unknown step "a0"',
    ),
    "a large matrix": (
        HEAD
        + "steps:\n- {name: s, run: x, matrix: {"
        + ", ".join(f"a{number}: [1, 2, 3]" for number in range(10))
        + "}}\n",
        "5:21: the matrix makes 59,049 tasks, over the limit of 20,000",
    ),
    "large defaults": (
        HEAD + f'defaults: {{env: {{A: "{"x" * 100_000}"}}}}\n' + steps(1000),
        "5:1: defaults and volumes, put into every step, have 100,016,000 bytes, over the limit of 33,554,432",
    ),
    "a large pattern": (
        HEAD + 'parameters: {p: {type: string, pattern: "((((a{1,100}){1,100}){1,100}){1,100})"}}\n' + ONE,
        "4:41: the pattern is no regular expression",
    ),
    "a long cron": (
        HEAD + 'trigger: {type: cron, configuration: {cron: "' + "*/1," * 3000 + '* * * * *"}}\n' + ONE,
        "4:45: cron must have five fields",
    ),
    "a zone outside of the zones": (
        HEAD + 'trigger: {type: cron, configuration: {cron: "* * * * *", timezone: "../../etc/passwd"}}\n' + ONE,
        '4:68: unknown time zone "../../etc/passwd"',
    ),
    "a long zone": (
        HEAD + f'trigger: {{type: cron, configuration: {{cron: "* * * * *", timezone: "{"x" * 100_000}"}}}}\n' + ONE,
        '4:68: unknown time zone "xxxx',
    ),
    "bytes that are no text": (b"a: " + b"\xff" * 1_000_000, "1:4: byte 0xff is not UTF-8"),
    "NULs": ("\0" * 1_000_000, "1:1: the text holds a NUL character"),
    "an object": (
        'a: !!python/object/apply:os.system ["touch /pwned"]\n',
        "1:4: tags such as !!python/object/apply:os.",
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_it_is_refused_in_one_sentence(name: str, loaded: Callable[[str | bytes], Loaded]) -> None:
    text, sentence = TEXTS[name]
    found = loaded(text)
    assert not found.ok
    assert found.documents == ()
    assert any(str(error).removeprefix("f:").startswith(sentence) for error in found.errors), found.errors[:3]


_CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from test_hostile import TEXTS
from windlass.model.catalog import StepCatalog
from windlass.model.manifest.load import load
catalog = StepCatalog()
for text, _ in TEXTS.values():
    assert load(text, "f", catalog).findings
"""
_CPU_SECONDS = 60
_MEMORY_BYTES = 1024**3


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


def test_all_of_it_together_stays_within_limits_of_time_and_memory(request: pytest.FixtureRequest) -> None:
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, str(request.path.parent)],
        preexec_fn=_limited,
        check=False,
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr[-2000:]


def test_twenty_thousand_steps_are_fine(loaded: Callable[[str], Loaded]) -> None:
    found = loaded(HEAD + steps(20_000))
    assert found.findings == ()
    assert len(found.documents[0].job.steps) == 20_000
