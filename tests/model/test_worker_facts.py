"""A worker says what its machine is, and a label that somebody gave it says more."""

from __future__ import annotations

from windlass.model.worker_facts import (
    apps_in,
    called_here,
    label_of,
    requiring,
    requiring_app,
    said_and_found,
    step_types_in,
    with_facts,
)


def test_facts_stand_beside_labels_and_yield_to_them() -> None:
    labels = dict(with_facts({"disk": "fast", "os": "debian"}, system="Linux", machine="x86_64"))
    assert [label_of(labels, name) for name in ("disk", "os", "arch", "gpu")] == ["fast", "debian", "amd64", None]
    assert said_and_found(labels) == ({"disk": "fast", "os": "debian"}, {"os": "linux", "arch": "amd64"})


def test_a_machine_of_another_kind_keeps_its_name() -> None:
    assert dict(with_facts({}, system="Linux", machine="riscv64"))["windlass/arch"] == "riscv64"


def test_step_types_stand_among_the_facts_and_nobody_gives_them_as_labels() -> None:
    given = {"disk": "fast", "windlass/step/deploy": "1", "windlass/os": "plan9"}
    labels = dict(with_facts(given, system="Linux", machine="x86_64", step_types=["shell", "backup"]))
    assert step_types_in(labels) == ["backup", "shell"]
    assert said_and_found(labels) == ({"disk": "fast"}, {"os": "linux", "arch": "amd64"})
    wanted = requiring({"disk": "fast"}, "backup")
    assert all(label_of(labels, name) == value for name, value in wanted.items())
    assert (said_and_found(wanted)[0], step_types_in(wanted)) == ({"disk": "fast"}, ["backup"])
    assert label_of(labels, next(iter(requiring({}, "deploy")))) is None


def test_an_application_stands_among_them_too() -> None:
    labels = dict(with_facts({"windlass/app/bank": "1"}, system="Linux", machine="x86_64", app="shop"))
    assert (apps_in(labels), step_types_in(labels)) == (["shop"], [])
    assert said_and_found(labels) == ({}, {"os": "linux", "arch": "amd64"})
    (wanted,) = requiring_app({}, "shop")
    assert (label_of(labels, wanted), requiring_app({"disk": "fast"}, None)) == ("1", {"disk": "fast"})


def test_words_of_elsewhere_have_one_here() -> None:
    assert [called_here(name) for name in ("x86_64", "AArch64", "Ubuntu", "amd64")] == ["amd64", "arm64", "linux", None]
