"""References to secrets."""

from __future__ import annotations

import pytest

from windlass.model.secret_reference import reference_error, source_of


@pytest.mark.promise("C10")
@pytest.mark.parametrize(
    "reference",
    [
        "secret://env/NAME",
        "secret://env/DB/PASSWORD",
        "secret://file/db/password",
        "secret://file//run/secrets/x",
        "secret://store/deploy-key",
        "secret://vault/kv/data/db?field=password",
        "secret://vault/kv/db",
        "secret://k8s/ns/secret/key",
        "secret://k8s/secret/key",
    ],
)
def test_good_ones(reference: str) -> None:
    assert reference_error(reference) is None


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("secret://", 'unknown source of secrets "" in secret://'),
        ("secret://evn/X", 'unknown source of secrets "evn" in secret://evn/X; did you mean "env"?'),
        ("secret://env/", "secret://env/ must look like secret://env/NAME"),
        ("secret://env/A B", "secret://env/A B must look like secret://env/NAME"),
        ("secret://file/../etc/shadow", "secret://file/../etc/shadow must look like secret://file/path"),
        ("secret://store/a/b", "secret://store/a/b must look like secret://store/NAME"),
        ("secret://vault/x?y=z", "secret://vault/x?y=z must look like secret://vault/path?field=name"),
        ("secret://k8s/a", "secret://k8s/a must look like secret://k8s/namespace/secret/key"),
    ],
)
def test_bad_ones(reference: str, sentence: str) -> None:
    assert reference_error(reference) == sentence


def test_the_source_of_a_reference() -> None:
    assert source_of("secret://env/NAME") == "env"
