"""The step types that a process knows, by name, and the rules of plug-ins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from windlass.model.manifest.config import ConfigChecker
from windlass.model.own_rules import OwnRules
from windlass.model.steptype import StepSpec
from windlass.model.steptypes import container, control, local, remote, service

#: Every step type of Windlass itself; plug-ins come on top.
BUILT_IN: tuple[StepSpec, ...] = (*local.SPECS, *control.SPECS, *container.SPECS, *remote.SPECS, *service.SPECS)

_NO_RULES = OwnRules()


class StepCatalog(Mapping[str, StepSpec]):
    """Step types by name; immutable."""

    def __init__(self, specs: Iterable[StepSpec] = BUILT_IN, rules: OwnRules = _NO_RULES) -> None:
        """Hold `specs`, of two with the same name the later one, and the `rules` that plug-ins bring."""
        self.rules = rules
        self._specs = {spec.name: spec for spec in specs}
        self._checkers: dict[str, ConfigChecker] = {}

    def __getitem__(self, name: str) -> StepSpec:
        """Return the spec of a type; raises KeyError where there is none."""
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        """Go over the names."""
        return iter(self._specs)

    def __len__(self) -> int:
        """Return how many types there are."""
        return len(self._specs)

    def get(self, name: str, default: Any = None, /) -> Any:
        """Return the spec of a type, or `default` where there is none."""
        return self._specs.get(name, default)

    @property
    def runnable(self) -> list[str]:
        """The names of the types that something here runs, in alphabetical order."""
        return sorted(name for name, spec in self._specs.items() if spec.in_force)

    def checker(self, name: str) -> ConfigChecker:
        """Return what normalises and checks configs of a type; raises KeyError where there is none."""
        found = self.checker_or_none(name)
        if found is None:
            raise KeyError(name)
        return found

    def checker_or_none(self, name: str) -> ConfigChecker | None:
        """Return what normalises and checks configs of a type, or None where there is no such type."""
        found = self._checkers.get(name)
        if found is None and name in self._specs:
            found = self._checkers[name] = ConfigChecker(self._specs[name])
        return found

    def overlaid(self, specs: Iterable[StepSpec]) -> StepCatalog:
        """Return a catalog in which `specs` are added or take the place of those with the same name."""
        return StepCatalog((*self._specs.values(), *specs), self.rules)

    def ruled(self, rules: OwnRules) -> StepCatalog:
        """Return a catalog of the same types with `rules`."""
        return StepCatalog(self._specs.values(), rules)
