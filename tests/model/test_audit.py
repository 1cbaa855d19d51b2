"""The chain of the audit: whatever is changed, left out, added or moved in it shows at the first such place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.model.audit import BEGINNING, AuditEntry, Break, code_of, first_break

pytestmark = pytest.mark.promise("W05")
KEYS = {0: b"zero", 1: b"one"}
Chain = list[tuple[AuditEntry, bytes]]


def entry(seq: int, **more: object) -> AuditEntry:
    said = {
        "at": seq * 1000, "actor": "ann", "actor_kind": "local", "address": None, "project": "default",
        "action": "job.apply", "object": f"Job/{seq}", "before": None, "after": "abc", "outcome": "done",
        "request": "r", "data": None, "epoch": 0 if seq < 4 else 1,
    }  # fmt: skip
    return AuditEntry(seq=seq, **(said | more))  # type: ignore[arg-type] - as the test says it


def chain(length: int) -> Chain:
    made: Chain = []
    code = BEGINNING
    for seq in range(1, length + 1):
        one = entry(seq)
        code = code_of(one, code, KEYS[one.epoch])
        made.append((one, code))
    return made


def broken(entries: Chain, **more: object) -> int | None:
    """Return the first place that does not hold."""
    (*_, last) = list(first_break(entries, KEYS, **more)) or [None]  # type: ignore[arg-type]
    return last.seq if isinstance(last, Break) else None


def test_a_chain_that_nobody_touched_holds_and_goes_on_from_anywhere() -> None:
    made = chain(8)
    steps = list(first_break(made, KEYS))
    assert steps == [(one.seq, code) for one, code in made]
    assert broken(made[3:], seq=3, code=made[2][1]) is None
    assert broken([]) is None


@given(st.integers(0, 7), st.sampled_from([name for name in AuditEntry.__dataclass_fields__ if name != "seq"]))
def test_every_field_of_every_entry_counts(at: int, name: str) -> None:
    made = chain(8)
    one, code = made[at]
    before = getattr(one, name)
    other = (1 - before) if name == "epoch" else before + 1 if isinstance(before, int) else f"{before}x"
    made[at] = (replace(one, **{name: other}), code)
    assert broken(made) == at + 1


@given(st.integers(0, 6), st.integers(0, 7))
def test_what_is_left_out_added_or_moved_shows(at: int, other: int) -> None:
    made = chain(8)
    assert broken(made[:at] + made[at + 1 :]) == at + 1
    assert broken([*made[:at], made[other], *made[at:]]) == (at + 1 if other != at else at + 2)
    if other not in {at, at + 1}:
        moved = list(made)
        moved[at], moved[other] = moved[other], moved[at]
        assert broken(moved) == min(at, other) + 1
    changed = list(made)
    changed[at] = (made[at][0], bytes(32))
    assert broken(changed) == at + 1


def test_entries_made_anew_without_the_key_do_not_fit() -> None:
    made = chain(8)
    code = made[5][1]
    for at in (6, 7):
        one = replace(made[at][0], actor="eve")
        code = code_of(one, code, b"guess")
        made[at] = (one, code)
    assert broken(made) == 7


def test_an_epoch_whose_key_is_away_is_told() -> None:
    (*_, last) = first_break(chain(6), {0: b"zero"})
    assert last == Break(4, "the key of epoch 1 cannot be had")
