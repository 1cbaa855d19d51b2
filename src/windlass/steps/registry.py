"""The step types that are installed: found by the entry points of `windlass.steps`, loaded when they are first used."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Final

from windlass.errors import NotFound, UserError
from windlass.model.catalog import StepCatalog
from windlass.model.did_you_mean import suggestion
from windlass.model.steptype import StepSpec
from windlass.steps.own_rules import LINT, PARAMETERS, load_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from windlass.steps.contract import StepType

GROUP: Final = "windlass.steps"
_OURS: Final = "windlass"


class StepTypes:
    """Step types by name; built-in ones come by the same door as those of plug-ins.

    A plug-in that cannot be loaded is named in `broken` and does no harm to the others. A name belongs to Windlass
    itself where it has it, else to the first distribution in alphabetical order; the others are named in `broken` too.
    """

    def __init__(self, found: Iterable[EntryPoint] | None = None) -> None:
        """Know the entry points `found`; all installed ones by default, those of rules too."""
        self._points: dict[str, EntryPoint] = {}
        self._loaded: dict[str, StepType] = {}
        self._broken: dict[str, str] = {}
        everything = entry_points() if found is None else None
        points = list(everything.select(group=GROUP) if everything is not None else found or ())
        self._rules = [
            point for group in (LINT, PARAMETERS) if everything is not None for point in everything.select(group=group)
        ]
        for point in sorted(points, key=lambda one: (_owner(one) != _OURS, _owner(one), one.name)):
            if point.name in self._points:
                owner = _owner(self._points[point.name])
                self._broken[f"{point.name} ({_owner(point)})"] = f"the name is taken by {owner}"
            else:
                self._points[point.name] = point

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all installed types, broken ones too."""
        return tuple(sorted(self._points))

    @property
    def broken(self) -> Mapping[str, str]:
        """What is wrong, by name, with those types that were tried and could not be loaded."""
        return dict(self._broken)

    def get(self, name: str) -> StepType:
        """Return the step type `name`, loading it the first time.

        Raises NotFound where none is installed under that name, UserError where it cannot be loaded.
        """
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def catalog(self) -> StepCatalog:
        """Return what is known of every type: the specs of Windlass itself, and on top those of plug-ins; and rules.

        Only plug-ins are loaded for it: a built-in type's spec is that of the model.
        """
        known = StepCatalog()
        specs = []
        for name, point in self._points.items():
            if _owner(point) != _OURS or name not in known:
                try:
                    specs.append(self.get(name).spec)
                except UserError:
                    continue  # named in `broken`
        rules, broken = load_rules(self._rules)
        self._broken |= broken
        return known.overlaid(specs).ruled(rules)

    async def close(self) -> None:
        """Let go of what the loaded types keep warm."""
        for step_type in self._loaded.values():
            close = getattr(step_type, "close", None)
            if callable(close):
                await close()

    def _load(self, name: str) -> StepType:
        if name in self._broken:
            raise UserError(self._broken[name])
        point = self._points.get(name)
        if point is None:
            raise NotFound(self._why_missing(name))
        try:
            step_type: StepType = point.load()()
            _check(name, step_type)
        except (Exception, SystemExit) as error:
            text = " ".join(str(error).split())[:300]
            self._broken[name] = (
                f'the step type "{name}" of {_owner(point)} cannot be loaded: {type(error).__name__}: {text}'
            )
            raise UserError(self._broken[name]) from error
        return step_type

    def _why_missing(self, name: str) -> str:
        if name in StepCatalog():
            return f'the step type "{name}" is known, but this installation has nothing that runs it'
        return f'there is no step type "{name}"' + suggestion(name, self._points)


def _check(name: str, step_type: StepType) -> None:
    if not isinstance(getattr(step_type, "spec", None), StepSpec):
        raise TypeError("it has no `spec` that is a StepSpec")
    if step_type.spec.name != name:
        raise TypeError(f'its spec is named "{step_type.spec.name}"')
    if not callable(getattr(step_type, "run", None)):
        raise TypeError("it has no method `run`")


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown distribution"
