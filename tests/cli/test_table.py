"""Tables: aligned, cut to the terminal, without empty columns."""

from __future__ import annotations

import pytest

from windlass.cli.states import paint_signed, signed
from windlass.cli.table import Column, table_lines
from windlass.cli.text import width_of

COLUMNS = (
    Column("NAME", lambda row: row["name"]),
    Column("COUNT", lambda row: str(row["count"]), right=True),
    Column("NOTE", lambda row: row.get("note", ""), shrinks=True),
    Column("MORE", lambda row: row.get("more", ""), shrinks=True),
)
ROWS = [{"name": "a", "count": 1, "note": "x" * 50}, {"name": "漢字", "count": 200, "note": "\x1b[31mred\nnext"}]


def test_columns_are_aligned_and_empty_ones_left_out() -> None:
    assert table_lines(COLUMNS, ROWS, width=None) == [
        "NAME  COUNT  NOTE",
        f"a         1  {'x' * 50}",
        "漢字    200  red next",
    ]


def test_a_narrow_terminal_cuts_what_may_shrink() -> None:
    lines = table_lines(COLUMNS, ROWS, width=30)
    assert lines[1] == f"a         1  {'x' * 16}…"
    assert max(map(width_of, lines)) <= 30


def test_what_may_not_shrink_stays_whole() -> None:
    assert table_lines(COLUMNS, ROWS, width=10)[1] == "a         1  xxxxx…"


FITTING = (
    Column("RUN", lambda row: row["id"], narrow=lambda row: row["id"][:4]),
    Column("STATE", lambda row: row["state"]),
    Column("TOOK", lambda _: "12s", drops=True),
    Column("WHY", lambda _: "because of that and this", shrinks=True, drops=True),
)
RUNS = [{"id": "01a2-70fd-9d9d", "state": "failed"}, {"id": "01a3-71cb-8d9d", "state": "queued"}]


@pytest.mark.parametrize(
    ("width", "second"),
    [
        (60, "01a2-70fd-9d9d  failed  12s   because of that and this"),
        (53, "01a2  failed  12s   because of that and this"),
        (33, "01a2  failed  12s   because of t…"),
        (31, "01a2  failed  12s"),
        (17, "01a2  failed"),
        (5, "01a2  failed"),
    ],
)
def test_a_narrow_terminal_gets_less_rather_than_pieces(width: int, second: str) -> None:
    assert table_lines(FITTING, RUNS, width=width)[1] == second


def test_colours_do_not_disturb_the_widths() -> None:
    columns = (Column("STATE", lambda row: signed(row["s"]), paint=paint_signed), Column("X", lambda _: "x"))
    plain = table_lines(columns, [{"s": "failed"}, {"s": "completed"}], width=80)
    coloured = table_lines(columns, [{"s": "failed"}, {"s": "completed"}], width=80, colours=True)
    assert plain[1] == "✗ failed     x"
    assert coloured[1] == "\x1b[31m✗ failed\x1b[0m     x"


def test_an_empty_list_still_has_its_head() -> None:
    assert table_lines(COLUMNS, [], width=80) == ["NAME  COUNT  NOTE  MORE"]
