"""The recorder behind the picture of the README, on a program of its own."""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ET

import pytest

from tests.repository.tree import ROOT
from tools.moving_picture import moving_picture
from tools.terminal import Frame, frames_of, record

AGAIN = b"\r\x1b[2K\x1b[1A\x1b[2K"
BLOCKS = (
    (5.0, b"\x1b[?25l\x1b[1mstep\x1b[0m 0\r\nend <&>"),
    (5.5, AGAIN + b"\x1b[1mstep\x1b[0m 1\r\nend <&>"),
    (6.0, AGAIN + b"\x1b[1mstep\x1b[0m 2\r\nend <&>"),
    (6.1, b"\r\n\x1b[?25h" + b"x" * 50),
)


def test_each_picture_is_a_frame_and_the_last_one_stays() -> None:
    frames = list(frames_of(BLOCKS, 40))
    assert [(round(frame.at, 1), [line.plain for line in frame.lines]) for frame in frames] == [
        (0.0, ["step 0", "end <&>"]),
        (0.5, ["step 1", "end <&>"]),
        (1.0, ["step 2", "end <&>"]),
        (1.1, ["step 2", "end <&>", "x" * 40, "x" * 10]),
    ]


def test_the_picture_is_well_formed_and_holds_what_was_shown() -> None:
    picture = moving_picture(list(frames_of(BLOCKS, 40)), "paint <it>", 'a "label"', 40)
    root = ET.fromstring(picture)  # noqa: S314 - made right here
    words = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"$ ", "paint <it>", "step", " 2", "end <&>"} <= words
    assert root.get("aria-label") == 'a "label"'
    assert "prefers-reduced-motion" in picture


def run(code: str) -> tuple[Frame, ...]:
    return record((sys.executable, "-c", code), ROOT, dict(os.environ), columns=40, lines=10)


def test_a_program_finds_a_terminal_of_the_size_it_is_given() -> None:
    (*_, last) = run("import os, sys; print(sys.stdout.isatty(), *os.get_terminal_size())")
    assert last.lines[0].plain == "True 40 10"


def test_a_program_that_fails_gives_no_picture() -> None:
    with pytest.raises(RuntimeError, match="ended with 3"):
        run("print(1); raise SystemExit(3)")


def test_the_picture_of_the_readme_is_one() -> None:
    root = ET.fromstring((ROOT / "docs" / "images" / "run.svg").read_text())  # noqa: S314 - a file of the project
    assert any((text.text or "").strip() == "completed" for text in root.iter("{http://www.w3.org/2000/svg}text"))
