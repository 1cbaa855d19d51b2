"""Draws what a terminal showed as one SVG that plays it again and again, and stands still for who asks for that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import Final

from rich.cells import cell_len
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tools.terminal import Frame

#: Pixels of a character, around all of them, and above them.
_WIDTH, _HEIGHT, _MARGIN, _TOP = 8.4, 17.0, 22.0, 44.0
#: Seconds that the last frame stays.
_REST: Final = 5.0
_PAPER, _INK = (13, 17, 23), (201, 209, 217)
_DARK = [(72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65), (88, 166, 255), (188, 140, 255), (57, 197, 207)]
_LIGHT = [(110, 118, 129), (255, 161, 152), (86, 211, 100), (227, 179, 65), (121, 192, 255), (210, 168, 255)]
_THEME: Final = TerminalTheme(_PAPER, _INK, [*_DARK, (177, 186, 196)], [*_LIGHT, (86, 212, 221), (240, 246, 252)])
_FONT: Final = "14px ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace"


@dataclass(frozen=True, slots=True)
class Stay:
    """A text that stands in a row for some frames."""

    text: Text
    first: int
    #: The frame that has another text; None where the last one still has this.
    until: int | None

    @property
    def style(self) -> str:
        """Return the name of its style."""
        return f"f{self.first}-{self.until or 'end'}"


def moving_picture(frames: Sequence[Frame], command: str, label: str, columns: int) -> str:
    """Return the frames below the line with `command`; `label` says what they show to those who cannot see them."""
    rows = [list(_stays(frames, row)) for row in range(max(len(frame.lines) for frame in frames))]
    width = columns * _WIDTH + 2 * _MARGIN
    height = _TOP + (len(rows) + 1) * _HEIGHT + _MARGIN
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    prompt = Text.assemble(("$ ", "bright_black"), (command, "bold"))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(label)}">',
        f"<style>\n{_styles(frames, [stay for row in rows for stay in row])}\n</style>",
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="8" fill="{_css(_PAPER)}"/>',
        "".join(f'<circle cx="{_MARGIN + 6 + 20 * number:.0f}" cy="22" r="6" fill="#30363d"/>' for number in range(3)),
        _line(prompt, 0),
    ]
    for number, row in enumerate(rows, 1):
        for stay in row:
            if stay.text.plain.strip():
                kind = "r z" if stay.until is None else "r"
                parts.append(f'<g class="{kind} {stay.style}">{_line(stay.text, number)}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _stays(frames: Sequence[Frame], row: int) -> Iterator[Stay]:
    """Yield what stands in a row, one after the other."""
    texts = [frame.lines[row] if row < len(frame.lines) else Text() for frame in frames]
    first = 0
    for number, text in enumerate(texts):
        if (text.plain, text.spans) != (texts[first].plain, texts[first].spans):
            yield Stay(texts[first], first, number)
            first = number
    yield Stay(texts[first], first, None)


def _styles(frames: Sequence[Frame], stays: Sequence[Stay]) -> str:
    """Return the style sheet: a row is seen for as long as it stands."""
    seconds = frames[-1].at + _REST
    css = [
        f"text{{font:{_FONT};white-space:pre;fill:{_css(_INK)}}}",
        ".b{font-weight:bold}.r{opacity:0}.z{opacity:1}",
        "@media (prefers-reduced-motion:no-preference){",
    ]
    for style, first, until in sorted({(stay.style, stay.first, stay.until) for stay in stays}):
        begin = 100 * frames[first].at / seconds
        end = "" if until is None else f"{100 * frames[until].at / seconds:.2f}%{{opacity:0}}"
        before = "0%{opacity:0}" if first else ""
        css.append(f"@keyframes {style}{{{before}{begin:.2f}%{{opacity:1}}{end or '100%{opacity:1}'}}}")
        css.append(f".{style}{{animation:{style} {seconds:.1f}s step-end infinite}}")
    return "\n".join([*css, "}"])


def _line(text: Text, row: int) -> str:
    """Return the words of a line, each at its place."""
    found, column = "", 0
    y = _TOP + row * _HEIGHT + 14
    for segment in text.render(Console(file=StringIO(), color_system="truecolor")):
        cells = cell_len(segment.text)
        if segment.text.strip():
            style = segment.style or Style()
            look = (' class="b"' if style.bold else "") + (f' style="fill:{_css(style.color)}"' if style.color else "")
            at = f'x="{_MARGIN + column * _WIDTH:.1f}" y="{y:.1f}" textLength="{cells * _WIDTH:.1f}"'
            found += f'<text {at} xml:space="preserve"{look}>{escape(segment.text)}</text>'
        column += cells
    return found


def _css(colour: Color | tuple[int, int, int]) -> str:
    red, green, blue = colour.get_truecolor(_THEME) if isinstance(colour, Color) else colour
    return f"#{red:02x}{green:02x}{blue:02x}"
