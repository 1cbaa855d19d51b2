"""Lines that speak to Windlass, found in any stream."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.directives import LONGEST, Directive, DirectiveScanner


def scan(data: bytes, cuts: list[int] | None = None) -> list[Directive]:
    scanner = DirectiveScanner()
    borders = sorted({cut % (len(data) + 1) for cut in cuts or []} | {0, len(data)})
    found = [one for start, end in pairwise(borders) for one in scanner.feed(data[start:end])]
    return [*found, *scanner.finish()]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"##windlass::output {}\n", [Directive("output", b"{}")]),
        (b"##windlass::output {}", [Directive("output", b"{}")]),
        (b"x\n##caesium::branch fast-path\r\ny\n", [Directive("branch", b"fast-path")]),
        (b"##windlass::branch\n", [Directive("branch", b"")]),
        (b"x ##windlass::output {}\n", []),
        (b" ##windlass::output {}\n", []),
        (b"##windlass:output {}\n##windlas\n##\n#\n\n", []),
        (b"###windlass::output {}\n", []),
        (b"##windlass::\xff\xfe x\n", [Directive("\ufffd\ufffd", b"x")]),
        (
            b"##windlass::a 1\n##windlass::b 2\nx\n##caesium::c 3",
            [Directive("a", b"1"), Directive("b", b"2"), Directive("c", b"3")],
        ),
    ],
)
def test_directives(data: bytes, found: list[Directive]) -> None:
    assert scan(data) == found


def test_a_line_that_is_too_long_is_cut_and_marked() -> None:
    (first, second) = scan(b"##windlass::output " + b"x" * 10 * LONGEST + b"\n##windlass::output {}\n")
    assert first.too_long
    assert len(first.payload) < LONGEST
    assert second == Directive("output", b"{}")


def test_memory_stays_bounded_without_line_breaks() -> None:
    scanner = DirectiveScanner()
    for _ in range(100):
        assert scanner.feed(b"##windlass::output " * 5000) == []
    assert len(scanner._line or b"") <= LONGEST


pieces = st.sampled_from(
    [
        b"##windlass::output {}",
        b"##caesium::branch x",
        b"\n",
        b"\n",
        b"\r\n",
        b"#",
        b"##",
        b"text",
        b"##windlass::",
        b" ",
    ]
)


@given(st.lists(pieces, max_size=20).map(b"".join), st.lists(st.integers(0, 400), max_size=10))
def test_cuts_do_not_matter_and_lines_decide(data: bytes, cuts: list[int]) -> None:
    expected = []
    for line in data.split(b"\n"):
        for mark in (b"##windlass::", b"##caesium::"):
            if line.startswith(mark):
                name, _, payload = line[len(mark) :].partition(b" ")
                expected.append(Directive(name.strip().decode(), payload.strip()))
    assert scan(data, cuts) == expected
