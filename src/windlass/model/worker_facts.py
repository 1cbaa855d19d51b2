"""What a worker says of its machine and of itself: jobs may require it as they require labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

#: Stands before the names of facts among the labels of a worker, where nobody else's label can.
FACT: Final = "windlass/"
#: Stands before the step types that a worker has, and before the one that a route requires.
STEP_TYPE: Final = f"{FACT}step/"
#: Stands before the applications in Python whose code a worker has, and before the one that a route requires.
APP: Final = f"{FACT}app/"
#: What machines call themselves, and what they are called here.
_ARCHITECTURES: Final[Mapping[str, str]] = {"x86_64": "amd64", "aarch64": "arm64"}
#: What workers say of their machines: Windlass runs on Linux, `arch` is its name of the processor where it is not ours.
SYSTEMS: Final = ("linux",)
ARCHITECTURES: Final = (
    *("amd64", "arm64", "i386", "i586", "i686", "armv6l", "armv7l", "armv8l", "ppc64", "ppc64le", "s390x"),
    *("riscv32", "riscv64", "loongarch64", "mips", "mips64", "sparc64", "parisc64", "ia64", "alpha"),
)
#: What people call them elsewhere, without case.
_ELSEWHERE: Final[Mapping[str, str]] = {
    **_ARCHITECTURES,
    **dict.fromkeys(("x64", "x86-64", "intel64", "em64t"), "amd64"),
    **dict.fromkeys(("armv8", "armv8-a", "arm64v8", "arm64/v8"), "arm64"),
    **dict.fromkeys(("x86", "386"), "i686"),
    **dict.fromkeys(("gnu/linux", "ubuntu", "debian", "unix"), "linux"),
}
_YES: Final = "1"


def with_facts(
    labels: Mapping[str, str], *, system: str, machine: str, step_types: Iterable[str] = (), app: str | None = None
) -> tuple[tuple[str, str], ...]:
    """Return the labels of a worker with what it is and has.

    That is `os`, and `arch` in the words of container images; its step types; the application whose code it has.
    """
    arch = machine.lower()
    facts = {
        f"{FACT}os": system.lower(),
        f"{FACT}arch": _ARCHITECTURES.get(arch, arch),
        **requiring({}, *step_types),
        **requiring_app({}, app),
    }
    given = {name: value for name, value in labels.items() if not name.startswith(FACT)}
    return tuple(sorted({**given, **facts}.items()))


def called_here(name: str) -> str | None:
    """Return what a machine is called here that is called `name` elsewhere; None where nobody calls one so."""
    return _ELSEWHERE.get(name.lower())


def requiring(labels: Mapping[str, str], *step_types: str) -> dict[str, str]:
    """Return the labels by which a route requires step types besides `labels`."""
    return {**labels, **{f"{STEP_TYPE}{name}": _YES for name in step_types}}


def requiring_app(labels: Mapping[str, str], app: str | None) -> dict[str, str]:
    """Return the labels by which a route requires the code of an application besides `labels`; None requires none."""
    return dict(labels) if app is None else {**labels, f"{APP}{app}": _YES}


def label_of(labels: Mapping[str, str], name: str) -> str | None:
    """Return what a worker says under a name: its own label, else the fact; None where it says neither."""
    return labels.get(name, labels.get(f"{FACT}{name}"))


def said_and_found(labels: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the labels that somebody gave a worker, and the facts of its machine."""
    said = {name: value for name, value in labels.items() if not name.startswith(FACT)}
    found = {
        name.removeprefix(FACT): value
        for name, value in labels.items()
        if name.startswith(FACT) and not name.startswith((STEP_TYPE, APP))
    }
    return said, found


def step_types_in(labels: Mapping[str, str]) -> list[str]:
    """Return the step types that a worker says it has, or that a route requires, in alphabetical order."""
    return sorted(name.removeprefix(STEP_TYPE) for name in labels if name.startswith(STEP_TYPE))


def apps_in(labels: Mapping[str, str]) -> list[str]:
    """Return the applications whose code a worker says it has, or that a route requires, in alphabetical order."""
    return sorted(name.removeprefix(APP) for name in labels if name.startswith(APP))
