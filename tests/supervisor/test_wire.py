"""What is packed at one end is what comes out at the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.supervisor import wire

TEXT = st.binary(max_size=40).map(lambda text: text.replace(b"\0", b""))
LIMIT = st.integers(-1, 2**63 - 1)
FIELDS = ("number", "argv", "env", "cwd", "mark", "run_as", "cpu", "memory", "files", "stdin", "targets")


@given(
    st.fixed_dictionaries(
        {
            "number": st.integers(0, 2**64 - 1),
            "argv": st.lists(TEXT, min_size=1),
            "env": st.lists(TEXT),
            "cwd": TEXT,
            "mark": TEXT,
            "run_as": TEXT,
            "cpu": LIMIT,
            "memory": LIMIT,
            "files": LIMIT,
            "stdin": st.booleans(),
            "targets": st.lists(st.integers(3, 2**31), max_size=5).map(tuple),
        }
    )
)
def test_a_launch_arrives_as_it_was_sent(fields: dict[str, object]) -> None:
    launch = wire.Launch.unpack(wire.Launch(**fields).pack())  # type: ignore[arg-type]
    assert {name: getattr(launch, name) for name in FIELDS} == fields


def test_a_text_that_would_shift_the_others_is_refused() -> None:
    launch = wire.Launch(
        number=1, argv=[b"a\0b"], env=[], cwd=b"/", mark=b"", run_as=b"", cpu=-1, memory=-1, files=-1, stdin=False,
        targets=(),
    )  # fmt: skip
    with pytest.raises(ValueError, match="null"):
        launch.pack()


def test_replies_share_a_packet() -> None:
    packet = b"".join(
        [
            wire.pack_reply(wire.READY, 2, 77),
            wire.pack_reply(wire.FAILED, 1, 2, name=b"no\0such"),
            wire.pack_reply(wire.SPAWNED, 3, 4711),
            wire.pack_reply(wire.EXITED, 3, -9, 0.25, 1 << 40, 1, 0),
            wire.pack_reply(wire.ENDED, 3, 5),
        ]
    )
    assert list(wire.unpack_replies(packet)) == [
        (wire.READY, 2, (77,), b""),
        (wire.FAILED, 1, (2,), b"no\0such"),
        (wire.SPAWNED, 3, (4711,), b""),
        (wire.EXITED, 3, (-9, 0.25, 1 << 40, 1, 0), b""),
        (wire.ENDED, 3, (5,), b""),
    ]
    assert wire.unpack_end(wire.pack_end(9, 1.5)) == (9, 1.5)
