"""Drawings as inline SVG, whose colours come from the page's style sheet."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

#: Width in pixels of a drawing on a wide page, and on a narrow one.
WIDE, NARROW = 920, 340
#: Width of a letter of the page's small text, as good as can be told without a browser.
LETTER = 7.2


class Drawing:
    """Shapes on a sheet of a given size; the later ones lie above the earlier ones."""

    def __init__(self, width: float, height: float, label: str) -> None:
        """Start an empty sheet; `label` says what it shows to those who cannot see it."""
        self.width = width
        self.height = height
        self._label = label
        self._shapes: list[str] = []

    def box(
        self, x: float, y: float, width: float, height: float, style: str, depth: float = 1, title: str = ""
    ) -> None:
        """Draw a rectangle; `depth` from 0 to 1 is how strong its colour is."""
        self._shapes.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" class="{style}"'
            f' fill-opacity="{depth:.2f}">{_title(title)}</rect>'
        )

    def dot(self, x: float, y: float, radius: float, style: str, title: str = "") -> None:
        """Draw a circle."""
        self._shapes.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" class="{style}">{_title(title)}</circle>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """Draw a straight line."""
        self._shapes.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>')

    def text(self, x: float, y: float, text: str, style: str = "", *, anchor: str = "start", turn: float = 0) -> None:
        """Write a text on the base line `y`; `turn` is in degrees, clockwise around (x, y)."""
        turned = f' transform="rotate({turn:g} {x:.1f} {y:.1f})"' if turn else ""
        words = f'class="{style}" text-anchor="{anchor}"' if style else f'text-anchor="{anchor}"'
        self._shapes.append(f'<text x="{x:.1f}" y="{y:.1f}" {words}{turned}>{escape(text)}</text>')

    def svg(self) -> str:
        """Return the drawing as an element for a page."""
        size = f'width="{self.width:.0f}" height="{self.height:.0f}" viewBox="0 0 {self.width:.0f} {self.height:.0f}"'
        return f'<svg {size} role="img" aria-label="{escape(self._label)}">{"".join(self._shapes)}</svg>'


def for_both(draw: Callable[[float], Drawing]) -> str:
    """Return a drawing for wide and for narrow pages; the style sheet shows one of them."""
    return f'<div class="wide">{draw(WIDE).svg()}</div><div class="narrow">{draw(NARROW).svg()}</div>'


def shortened(text: str, width: float) -> str:
    """Return `text` as far as it fits into `width`; nothing where that would say too little."""
    room = int(width / LETTER)
    if len(text) <= room:
        return text
    return text[: room - 1] + "…" if room > 4 else ""  # noqa: PLR2004 - shorter ones say nothing


def _title(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""
