"""Sealed values: they open where they stand, whole, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from windlass.engine.sealing.box import About, Unsealable, key_of, new_key, seal, unseal

KEY, ID = new_key(), bytes(range(16))
HERE = About("secret", "default", "db", 3)
_NAMES = st.text(min_size=0, max_size=12)
_PLACES = st.builds(About, _NAMES, _NAMES, _NAMES, st.integers(0, 2**40))


@pytest.mark.promise("O13", part="sealed")
@given(st.binary(max_size=300), _PLACES)
def test_what_is_sealed_opens_where_it_stands(plain: bytes, about: About) -> None:
    sealed = seal(KEY, ID, plain, about.data())
    assert key_of(sealed) == ID
    assert unseal(KEY, sealed, about.data()) == plain
    assert seal(KEY, ID, plain, about.data()) != sealed, "no nonce comes twice"


@pytest.mark.promise("O13", part="sealed")
@given(_PLACES, _PLACES)
def test_it_opens_nowhere_else(one: About, other: About) -> None:
    assert (one.data() == other.data()) == (one == other)
    if one != other:
        with pytest.raises(Unsealable):
            unseal(KEY, seal(KEY, ID, b"value", one.data()), other.data())


@pytest.mark.promise("O13", part="sealed")
def test_no_byte_of_it_can_be_changed_left_out_or_added() -> None:
    sealed = seal(KEY, ID, b"canary", HERE.data())
    assert b"canary" not in sealed
    for at in range(len(sealed)):
        wrong = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(Unsealable):
            unseal(KEY, wrong, HERE.data())
        with pytest.raises(Unsealable):
            unseal(KEY, sealed[:at], HERE.data())
    with pytest.raises(Unsealable):
        unseal(KEY, sealed + b"\0", HERE.data())
    with pytest.raises(Unsealable):
        unseal(new_key(), sealed, HERE.data())
