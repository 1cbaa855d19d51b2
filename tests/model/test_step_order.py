"""Which steps come before which."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from windlass.model.step_order import StepOrder

NAMES = [f"step-{number}" for number in range(8)]


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES))))
def test_it_agrees_with_a_walk_over_the_graph(before: dict[str, list[str]]) -> None:
    order = StepOrder(before)

    def ancestors(step: str) -> set[str]:
        seen: set[str] = set()
        pending = [*before[step]]
        while pending:
            one = pending.pop()
            if one in before and one not in seen:
                seen.add(one)
                pending += before[one]
        return seen

    cyclic = {step for step in before if step in ancestors(step)}
    for name, step in product(before, before):
        behind_a_cycle = bool(cyclic & {step, *ancestors(step)})
        assert order.comes_before(name, step) == (behind_a_cycle or name in ancestors(step))


def test_a_step_is_known_by_both_spellings() -> None:
    order = StepOrder({"load-eu": [], "load_us": []})
    assert [order.named(name) for name in ("load-eu", "load_eu", "load_us", "load-us", "load")] == [
        "load-eu",
        "load-eu",
        "load_us",
        "load_us",
        None,
    ]


def test_a_long_row_of_steps_is_gathered_once() -> None:
    row = StepOrder({f"s{number}": [f"s{number - 1}"] if number else [] for number in range(20_000)})
    assert all(row.comes_before(f"s{number // 2}", f"s{number}") for number in range(1, 20_000))
    assert not row.comes_before("s19999", "s0")
