"""The fast parser and the positioned one read the same, and nothing that is written makes reading fail."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from windlass.model.catalog import StepCatalog
from windlass.model.manifest.events import parse
from windlass.model.manifest.fast import parse_fast
from windlass.model.manifest.limits import Limits
from windlass.model.manifest.load import load

CATALOG = StepCatalog()
LIMITS = Limits()

KEYS = st.sampled_from(
    ["a", "b", "name", "steps", "x.y", "$s", '"q k"', "'s'", "null", "true", "y", "1", '"1"', "on", "<<", "k-1"]
)
PLAIN = st.sampled_from(
    [
        "v1",
        "hello world x",
        "5",
        "10",
        "3.11",
        "10m",
        "1h30m",
        "true",
        "True",
        "null",
        "NULL",
        "~",
        "no",
        "on",
        "./x",
        "/a/b",
        "$X",
        "a:b",
        "http://x/y",
        "a#b",
        "e5",
        "0",
        "007",
        "0x1f",
        "0o17",
        "1e3",
        "1_0",
        "1.",
        ".5",
        "-1",
        "+1",
        "-c",
        "--day",
        "--",
        "-",
        "a,b",
        "a]",
        "x?",
        "inf",
        ".inf",
        "it's",
        'q "r" s',
        "2026-01-01",
        "a\\b",
        "(x)",
        "é",
        "a  b",
        "v: w",
        "a # b",
        "&x",
        "*x",
        "!x",
        "@x",
        "`x",
        "%x",
        "|",
        ">",
        "12345678901234567890",
        "1:30",
        "",
    ]
)
QUOTED = st.sampled_from(
    ['"q"', "'s'", '"a \\n b"', '"\\x41"', '"\\u0041"', "'it''s'", '"a: b"', "'- x'", '"#"', '""', "''", '"${{ x }}"']
)
SCALARS = PLAIN | QUOTED
FLOW = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(
            lambda items, comma, space: f"[{space}{comma.join(items)}{space}]",
            st.lists(inner, max_size=3),
            st.sampled_from([", ", ",", " , "]),
            st.sampled_from(["", " "]),
        ),
        st.builds(
            lambda pairs, colon: "{" + ", ".join(f"{key}{colon}{value}" for key, value in pairs) + "}",
            st.lists(st.tuples(KEYS, inner), max_size=2),
            st.sampled_from([": ", ":", ":  "]),
        ),
    ),
    max_leaves=6,
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw lines such as manifests are made of, some of them wrong."""
    lines = []
    indent = 0
    for _ in range(draw(st.integers(1, 8))):
        pad = " " * indent
        kind = draw(st.integers(0, 19))
        dash = draw(st.sampled_from(["", "", "", "- ", "- - ", "-  "]))
        end = draw(st.sampled_from(["", "", "", "", "  # c", " ", "\t"]))
        if kind == 0:
            lines.append(draw(st.sampled_from(["", pad, "---", "...", "  # c", "# c", "%YAML 1.2", "\r"])))
        elif kind in (1, 2):
            key = draw(KEYS) + ": " if not dash or draw(st.booleans()) else ""
            lines.append(
                pad + dash[:2] + key + draw(st.sampled_from("|>")) + draw(st.sampled_from(["", "-", "+", "2"]))
            )
            for _ in range(draw(st.integers(0, 3))):
                deeper = " " * (indent + draw(st.sampled_from([0, 1, 2, 2, 2, 3, 4])))
                lines.append(draw(st.sampled_from(["", deeper + "x", deeper + "y: 1", deeper + "# z", deeper + "  q"])))
        elif dash and kind < 8:
            lines.append(pad + dash + draw(FLOW) + end)
        else:
            lines.append(pad + dash + draw(KEYS) + draw(st.sampled_from([": ", ": ", ":  ", ":"])) + draw(FLOW) + end)
        indent = max(0, indent + draw(st.sampled_from([0, 0, 0, 2, 2, -2, -4, 1])))
    return "\n".join(lines) + draw(st.sampled_from(["\n", "\n", "\n", ""]))


@pytest.mark.promise("C02")
@settings(max_examples=1500, deadline=None)
@given(texts())
@example("a: |\n\n  x\n")
@example("a: >-\n  b\n\n  c\n\nd: 1\n")
@example("# c\n---\na: 1\n---\nb: 2\n")
@example("a: 1\n---\n- a: 1\n- b: 2\n")
@example("- a: 1\n- b: 2\n")
@example("---\n- a: 1\n- b: 2\n")
@example("a: [sh, -c, 'x', \"y\"]\nb: {c: d, e: [1, 2]}\n")
@example("a:\n- b: |\n    x\n  c: d\n")
@example("a: b\n  c\n")
@example("a: {b: c,\nd: e}\n")
@example("é: ü\n")
@example("a: 0017\nb: 0x10\nc: 1e5\n")
def test_what_the_fast_parser_takes_it_reads_like_the_positioned_one(text: str) -> None:
    fast = parse_fast(text, LIMITS)
    if fast is None:
        return
    slow = parse(text, LIMITS)
    assert slow.problems == []
    assert repr(fast.documents) == repr(slow.documents)  # 1, 1.0 and true are equal, but not the same
    if len(slow.documents) > 1:
        assert [line for line, _ in fast.starts][1:] == [line for line, _ in slow.starts][1:]


SOUND = """\
apiVersion: v1
kind: Job
metadata: {alias: nightly, labels: {team: data}}
parameters: {region: {type: string, enum: [eu, us], default: eu}}
triggers: [{type: cron, configuration: {cron: "0 2 * * *", timezone: Europe/Berlin}}]
callbacks: [{type: notification, on: [failed], configuration: {url: "https://x"}}]
priority: high
concurrency: {limit: 1, key: "${{ parameters.region }}"}
rateLimits: [{resource: r, limit: 2, window: 1m}]
defaults: {retry: {attempts: 2, on: [exit, "exit:75"]}, env: {TZ: UTC}}
volumes: [{name: v, source: {bind: /x}}]
steps:
  - {name: a, image: x, command: [echo, "${{ parameters.region }}"], next: [b], volumeMounts: [{volume: v, path: /v}]}
  - {name: b, run: "echo", when: "${{ parameters.region == 'eu' }}", matrix: {n: [1, 2]}, rateLimit: {resource: r}}
  - {name: c, dependsOn: [a, b], triggerRule: all_done, uses: {job: other, with: {x: [1]}}, cache: {key: [a], ttl: 1h}}
"""
PIECES = st.sampled_from(
    [
        "",
        " ",
        "\n",
        "\n  ",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ",",
        '"',
        "'",
        "|",
        ">",
        "#",
        "&a ",
        "*a",
        "!!int ",
        "<<: ",
        "? ",
        "null",
        "5",
        "-1",
        "1.5",
        "true",
        "x",
        "[]",
        "{}",
        "${{",
        "}}",
        "${{ x }}",
        "secret://",
        "---\n",
        "\t",
        "\0",
        "é",
        "\ufeff",
        "99999999999999999999",
        ".nan",
        "1e999",
        "steps",
        "name",
        "next",
        "[[[[",
        "kind: Target\n",
        "{a: {a: {a: a}}}",
    ]
)
EDITS = st.lists(st.tuples(st.integers(0, len(SOUND)), st.integers(0, 12), PIECES), min_size=1, max_size=5)


def edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    """Return `text` with a piece put in place of some characters, for each edit."""
    for at, length, piece in edits:
        text = text[:at] + piece + text[at + length :]
    return text


@pytest.mark.promise("C02")
@settings(max_examples=800, deadline=None)
@given(EDITS)
def test_no_edit_of_a_manifest_does_more_than_give_findings(edits: list[tuple[int, int, str]]) -> None:
    text = edited(SOUND, edits)
    loaded = load(text, "f", CATALOG)
    lines = text.count("\n") + 2
    for finding in loaded.findings:
        assert "\n" not in str(finding)
        assert finding.position is not None
        assert 1 <= finding.position.line <= lines
        assert finding.position.column >= 1
    assert loaded.ok or loaded.errors
    for document in loaded.documents:
        assert document.job.alias


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_give_findings(data: bytes) -> None:
    assert load(data, "f", CATALOG).findings
