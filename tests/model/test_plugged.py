"""Which steps only a worker with a plug-in can run."""

from __future__ import annotations

from windlass.model.catalog import StepCatalog
from windlass.model.definition import Job, Step
from windlass.model.plugged import SHIPPED, plugged_of, wanted_types
from windlass.model.steptype import StepSpec

MINE = StepSpec(name="deploy", summary="Deploys.", schema={})


def job(*types: str) -> Job:
    steps = tuple(Step(name=f"s{number}", type=name) for number, name in enumerate(types))
    return Job(alias="a", steps=steps)


def test_a_job_of_shipped_types_wants_nothing() -> None:
    assert {"shell", "python", "fake"} < SHIPPED
    assert plugged_of(job(*sorted(SHIPPED))) is None


def test_other_types_are_wanted_whether_they_are_known_here_or_not() -> None:
    plugged = plugged_of(job("shell", "deploy", "nobodys"))
    assert plugged == [None, "deploy", "nobodys"]
    assert wanted_types(plugged, StepCatalog()) == plugged
    assert wanted_types(plugged, StepCatalog().overlaid([MINE])) == plugged


def test_a_type_that_is_not_in_force_is_wanted_only_where_a_plug_in_puts_it_in_force() -> None:
    plugged = plugged_of(job("ssh.exec"))
    assert plugged == ["ssh.exec"]
    assert wanted_types(plugged, StepCatalog()) == [None]
    theirs = StepSpec(name="ssh.exec", summary="Another one.", schema={})
    assert wanted_types(plugged, StepCatalog().overlaid([theirs])) == ["ssh.exec"]
    assert "ssh.exec" not in StepCatalog().runnable
    assert "ssh.exec" in StepCatalog().overlaid([theirs]).runnable
