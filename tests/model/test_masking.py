"""Secrets in output and in values."""

from __future__ import annotations

import base64
import json
import textwrap
from collections.abc import Callable

import pytest

from windlass.model.masking import Masker
from windlass.model.secret_forms import forms_of, secrets_digest

KEY = "-----BEGIN KEY-----\nabcdefghijklmnop\nqrstuvwxyz012345\nxy\n-----END KEY-----\n"


@pytest.mark.promise("O13")
@pytest.mark.parametrize(
    ("secret", "text", "shown"),
    [
        ("hunter2", "pass hunter2!", "pass ***!"),
        ("hunter2", "hunter2hunter2", "***"),
        ("hunter2", "hunter", "hunter"),
        ("abc", "abc stays: it is too short", "abc stays: it is too short"),
        ("+++++", "a+++++b", "a***b"),
        ("(((((", "((((((", "***"),
        ("p&ss<w>", "p\\u0026ss\\u003cw\\u003e p&amp;ss&lt;w&gt;", "*** ***"),
        ("a/b+c=d e", "a%2Fb%2Bc%3Dd%20e a%2fb%2bc%3dd%20e a%2Fb%2Bc%3Dd+e a\\/b+c=d e", "*** *** *** ***"),
        ('say "x"\t!', 'say \\"x\\"\\t!', "***"),
        ("it's me", "'it'\"'\"'s me' it'\\''s me", "*** ***"),
        ("größe", "gr\\u00f6\\u00dfe gr%C3%B6%C3%9Fe größe", "*** *** ***"),
        (" padded ", "a padded b", "a *** b"),
    ],
)
def test_forms(secret: str, text: str, shown: str) -> None:
    assert Masker([secret]).mask_text(text) == shown


@pytest.mark.promise("O13")
@pytest.mark.parametrize("between", ["\n", " ", "-"])
def test_pieces_with_something_between_are_the_limit_that_the_guide_names(between: str) -> None:
    """What `fold -w 8` prints is other text than the secret, as every change of it is."""
    pieces = between.join(textwrap.wrap("s3cr3t-passphrase", 8))
    masker = Masker(["s3cr3t-passphrase"])
    assert masker.mask_text(pieces) == pieces
    assert masker.mask_text(f"{pieces} s3cr3t-passphrase") == f"{pieces} ***"


@pytest.mark.promise("O13")
def test_a_key_of_several_lines_is_hidden_line_by_line_and_as_a_whole() -> None:
    masker = Masker([KEY])
    assert masker.mask_text("a\n  qrstuvwxyz012345\nxy\n") == "a\n  ***\nxy\n"
    assert masker.mask_text(json.dumps({"key": KEY})) == '{"key": "***\\n***\\n***\\nxy\\n***\\n"}'
    whole = base64.b64encode(KEY.encode()).decode()
    for width in (64, 76):
        shown = masker.mask_text(textwrap.fill(whole, width))
        assert shown.replace("*", "").replace("\n", "") == ""


@pytest.mark.promise("O13")
@pytest.mark.parametrize("secret", ["s3cr3t-pass", "s3cr3t-passw", "s3cr3t-passwo"])
@pytest.mark.parametrize("after", ["", "\n"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_hidden_to_its_last_character(secret: str, after: str, encode: Callable[[bytes], bytes]) -> None:
    masker = Masker([secret])
    assert masker.mask_bytes(encode(f"{secret}{after}".encode())) == b"***"
    assert masker.mask_bytes(encode(f"user:{secret}{after}".encode())) == b"dXNlcjp***"


def test_a_secret_of_a_megabyte() -> None:
    secret = "".join(f"{number:x}-" for number in range(180_000))
    masker = Masker([secret])
    stream = masker.stream()
    text = f"<{secret}>".encode()
    shown = b"".join(stream.feed(text[at : at + 5000]) for at in range(0, len(text), 5000)) + stream.finish()
    assert shown == b"<***>"
    assert len(stream._held) < 100


def test_nothing_is_held_back_at_the_end_of_a_line() -> None:
    stream = Masker(["secret-value", "\nsecond"]).stream()
    assert stream.feed(b"a line\n") == b"a line\n"
    assert stream.feed(b"prompt: ") == b"prompt: "
    assert stream.feed(b"sec") == b""
    assert stream.feed(b"ond\n") == b"***\n"


def test_values_are_masked_in_texts_keys_and_numbers() -> None:
    masker = Masker(["hunter2", "123456"])
    value = {"a hunter2": ["hunter2", 1234567, 5, True, None, {"x": 0.123456}]}
    assert masker.mask_json(value) == {"a ***": ["***", "***", 5, True, None, {"x": "***"}]}
    assert Masker().mask_json(value) is value


def test_bytes_that_are_no_text_are_part_of_a_secret() -> None:
    secret = b"pass\xff\xfeword".decode("utf-8", "surrogateescape")
    masker = Masker([secret])
    assert masker.mask_bytes(b"<pass\xff\xfeword>") == b"<***>"
    assert masker.mask_text(f"<{secret}>\udcff") == "<***>\udcff"
    assert Masker(["half \ud83d pair"]).mask_text("<half \ud83d pair>") == "<***>"


def test_no_form_is_shorter_than_four_bytes_or_spans_lines() -> None:
    for secret in ("abcd", "a b\ncdef", KEY, "    ", "\n\n"):
        assert all(len(form) >= 4 and b"\n" not in form for form in forms_of(secret))


def test_the_digest_tells_secrets_apart_and_nothing_more() -> None:
    assert secrets_digest(["a", "b"]) == secrets_digest(["b", "a", "a"])
    assert len({secrets_digest(one) for one in ([], [""], ["ab"], ["a", "b"])}) == 4
