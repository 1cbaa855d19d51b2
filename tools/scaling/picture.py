"""Draws docs/images/bursts.svg: how long runs wait for their start, by how many come and are taken at a time."""

from __future__ import annotations

from math import log10
from typing import Final

from tools.scaling.waiting import BATCHES, RATES, waits

_WIDTH, _HEIGHT = 720, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 120, 20, 50
#: Milliseconds at the foot and the head of the picture.
_LEAST, _MOST = 1.0, 10_000.0
_STYLE: Final = 'role="img" font-family="sans-serif" font-size="12"'
_INKS: Final = ("#c0392b", "#d68910", "#1f77b4", "#2e8b57")


def render() -> str:
    """Return the picture."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_STYLE}>',
            "<title>99 of 100 runs start within this time, by runs a second and size of a batch</title>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
            *_grid(),
            *(line for place, batch in enumerate(BATCHES) for line in _line(batch, _INKS[place])),
            "</svg>\n",
        ]
    )


def _grid() -> list[str]:
    found = []
    milliseconds = _LEAST
    while milliseconds <= _MOST:
        y = _y(milliseconds)
        text = f"{milliseconds:g} ms" if milliseconds < 1000 else f"{milliseconds / 1000:g} s"  # noqa: PLR2004 - a second
        found += [
            f'<line x1="{_LEFT}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="#dddddd"/>',
            f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end" fill="#444444">{text}</text>',
        ]
        milliseconds *= 10
    for rate in RATES:
        found.append(
            f'<text x="{_x(rate)}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle" fill="#444444">{rate:,}</text>'
        )
    middle = (_LEFT + _WIDTH - _RIGHT) // 2
    found.append(f'<text x="{middle}" y="{_HEIGHT - 10}" text-anchor="middle" fill="#444444">runs a second</text>')
    return found


def _line(batch: int, ink: str) -> list[str]:
    points = [(_x(rate), _y(one.p99 * 1000)) for rate, one in waits()[batch].items()]
    path = " ".join(f"{x},{y}" for x, y in points)
    x, y = points[-1]
    dots = [f'<circle cx="{at}" cy="{height}" r="3" fill="{ink}"/>' for at, height in points]
    return [
        f'<polyline points="{path}" fill="none" stroke="{ink}" stroke-width="2"/>',
        *dots,
        f'<text x="{x + 10}" y="{y + (14 if batch == BATCHES[-1] else 0)}" fill="{ink}">batches of {batch}</text>',
    ]


def _x(rate: float) -> float:
    share = (log10(rate) - log10(RATES[0])) / (log10(RATES[-1]) - log10(RATES[0]))
    return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(milliseconds: float) -> float:
    share = (log10(min(max(milliseconds, _LEAST), _MOST)) - log10(_LEAST)) / (log10(_MOST) - log10(_LEAST))
    return round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)
