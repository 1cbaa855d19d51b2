"""Masking holds for any secret, in any form, however the output is cut."""

from __future__ import annotations

import base64
import json
import shlex
from itertools import pairwise
from urllib.parse import quote, quote_plus

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from windlass.model.masking import MASK, Masker

secret_texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=4, max_size=200).filter(
    lambda text: text == text.strip() and len(text.splitlines()) == 1
)
noise = st.binary(max_size=80)
ENCODINGS = {
    "raw": str.encode,
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 in a text": lambda text: base64.b64encode(b"user:" + text.encode() + b"@"),
    "base64 in another text": lambda text: base64.b64encode(b"u:" + text.encode() + b"\n"),
    "urlsafe base64": lambda text: base64.urlsafe_b64encode(text.encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "json": lambda text: json.dumps(text).encode(),
    "url": lambda text: quote(text, safe="").encode(),
    "form": lambda text: quote_plus(text).encode(),
    "repr": lambda text: repr(text).encode(),
    "shell": lambda text: shlex.quote(text).encode(),
}


def masked(masker: Masker, data: bytes, cuts: list[int]) -> bytes:
    stream = masker.stream()
    borders = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    shown = [stream.feed(data[start:end]) for start, end in pairwise(borders)]
    return b"".join([*shown, stream.finish()])


cut_points = st.lists(st.integers(0, 10_000), max_size=12)


@given(secret_texts, st.sampled_from(sorted(ENCODINGS)), noise, noise, cut_points)
@example("+++++", "raw", b"a", b"b", [2])
@example("(((((", "raw", b"", b"", [])
@example("\\E\\Q.*", "json", b"", b"", [3])
@example("x" * 200, "base64", b"x", b"x", [70, 140])
@settings(max_examples=400)
def test_a_secret_never_shows(secret: str, encoding: str, before: bytes, after: bytes, cuts: list[int]) -> None:
    written = ENCODINGS[encoding](secret)
    shown = masked(Masker([secret]), before + written + after, cuts)
    bare = written.strip(b"\"'")
    assert bare not in shown or bare in MASK
    assert MASK in shown
    assert secret.encode() not in shown or secret.encode() in MASK


ENCODERS = {
    "base64": base64.b64encode,
    "urlsafe base64": base64.urlsafe_b64encode,
    "hex": lambda raw: raw.hex().encode(),
    "HEX": lambda raw: raw.hex().upper().encode(),
}


@given(
    st.sampled_from(["hunter2pw", "abcd", "pässwörd", "s3cr3t/" * 12]) | secret_texts,
    st.sampled_from(sorted(ENCODERS)),
    st.binary(max_size=100),
    st.binary(max_size=5),
    st.integers(16, 100),
    st.sampled_from([b"\n", b"\r\n"]),
    cut_points,
)
@example("hunter2pw", "base64", b"x" * 50, b"", 76, b"\n", [])
@example("hunter2pw", "base64", b"x" * 52, b"", 76, b"\n", [76, 77])
@example("hunter2pw", "base64", b"x" * 40, b"", 64, b"\r\n", [64, 65])
@example("hunter2pw", "hex", b"x" * 25, b"", 60, b"\n", [60])
@settings(max_examples=500)
def test_an_encoded_secret_that_is_cut_into_lines_never_shows(
    secret: str, encoder: str, before: bytes, after: bytes, width: int, line_end: bytes, cuts: list[int]
) -> None:
    encode = ENCODERS[encoder]
    whole = encode(before + secret.encode() + after)
    lines = [whole[at : at + width] for at in range(0, len(whole), width)]
    masker = Masker([secret])
    shown = masked(masker, line_end.join(lines) + line_end, cuts)
    assert shown == masker.mask_bytes(line_end.join(lines) + line_end)
    # Characters that hold bits of nothing but the secret, without a last one that is known only where nothing follows.
    bits = 4 if "ex" in encoder.lower() else 6
    first, end = -(-len(before) * 8 // bits), (len(before) + len(secret.encode())) * 8 // bits
    kept = [
        bytes(42 if first <= place < end else letter for place, letter in enumerate(line, number * width))
        for number, line in enumerate(lines)
    ]
    for line, bare in zip(shown.split(line_end), kept, strict=False):
        _start, _, rest = bare.partition(b"*")
        if rest or bare.startswith(b"*"):
            assert line.count(b"*") >= 3
            assert len(line.replace(MASK, b"")) <= len(bare.replace(b"*", b""))


def test_at_the_end_of_a_line_only_the_beginning_of_a_wrapped_secret_is_held_back() -> None:
    stream = Masker(["hunter2pw"]).stream()
    assert stream.feed(b"what a step says, hV\n") == b"what a step says, hV\n"
    line = base64.b64encode(b"x" * 52 + b"hunter2pw")[:76]
    assert stream.feed(line + b"\r\n") == line[:70]
    assert stream.feed(b"\n") == line[70:] + b"\r\n\n"
    for _ in range(1000):
        stream.feed(line + b"\n")
        assert len(stream._held) < 200


@given(st.lists(secret_texts, min_size=1, max_size=5), noise, cut_points)
@settings(max_examples=300)
def test_the_result_does_not_depend_on_the_cuts(secrets: list[str], data: bytes, cuts: list[int]) -> None:
    masker = Masker(secrets)
    text = data.join(secret.encode() for secret in secrets) + data
    assert masked(masker, text, cuts) == masker.mask_bytes(text)


@given(st.lists(st.text("ab", min_size=4, max_size=9), min_size=1, max_size=6), st.text("abc", max_size=60), cut_points)
@settings(max_examples=300)
def test_overlapping_secrets_are_all_hidden(secrets: list[str], text: str, cuts: list[int]) -> None:
    shown = masked(Masker(secrets), text.encode(), cuts)
    hidden = {
        place
        for one in secrets
        for start in range(len(text))
        if text.startswith(one, start)
        for place in range(start, start + len(one))
    }
    expected = "".join("*" if place in hidden else letter for place, letter in enumerate(text))
    assert "***".join(_pieces(expected)) == shown.decode()


def _pieces(text: str) -> list[str]:
    pieces, inside = [""], False
    for letter in text:
        if letter != "*":
            pieces[-1] += letter
        elif not inside:
            pieces.append("")
        inside = letter == "*"
    return pieces


@given(secret_texts, st.binary(max_size=2000), cut_points)
def test_other_bytes_are_unchanged(secret: str, data: bytes, cuts: list[int]) -> None:
    masker = Masker([secret])
    assume(masker.mask_bytes(data).count(MASK) == data.count(MASK))
    assert masked(masker, data, cuts) == data


@given(st.binary(max_size=500), cut_points)
def test_without_secrets_nothing_changes(data: bytes, cuts: list[int]) -> None:
    assert masked(Masker(), data, cuts) == data


def test_what_is_held_back_of_a_long_secret_stays_hidden_at_every_cut() -> None:
    secret = "A" + "0" * 28 + "A" * 60 + "BCDEFGH"
    masker = Masker([secret])
    text = b"x" + secret.encode() + b"\0" * 8
    assert {masked(masker, text, [first, second]) for first in range(100) for second in range(first, 100)} == {
        masker.mask_bytes(text)
    }
