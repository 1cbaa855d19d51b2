"""The step types that are known."""

from __future__ import annotations

import jsonschema_rs
import pytest

from windlass.model.catalog import BUILT_IN, StepCatalog
from windlass.model.steptype import StepSpec

#: All types of the design, and whether something runs them.
TYPES = {
    "shell": True, "process": True, "python": True, "branch": True, "wait": True, "fake": True,
    "approval": False, "job": True,
    "container.docker": False, "container.podman": False, "container.kubernetes": False,
    "ssh.exec": False, "ssh.copy": False, "sftp.upload": False, "sftp.download": False, "sftp.sync": False,
    "winrm.exec": False, "winrm.copy": False, "ansible.playbook": False, "http.request": False,
}  # fmt: skip


def test_every_type_is_there() -> None:
    assert {spec.name: spec.in_force for spec in BUILT_IN} == TYPES


@pytest.mark.parametrize("spec", BUILT_IN, ids=[spec.name for spec in BUILT_IN])
def test_a_spec_is_sound(spec: StepSpec) -> None:
    jsonschema_rs.meta.validate(spec.schema)
    assert spec.schema["type"] == "object"
    assert spec.schema["additionalProperties"] is False
    assert spec.summary.endswith(".")
    for place in spec.places:
        assert place.split(".")[0] in spec.schema["properties"]


def test_a_plug_in_s_type_comes_on_top() -> None:
    mine = StepSpec(name="shell", summary="Mine.", schema={"type": "object"})
    catalog = StepCatalog().overlaid([mine])
    assert catalog["shell"] is mine
    assert len(catalog) == len(TYPES)
    assert StepCatalog()["shell"] is not mine


def test_an_unknown_type_has_no_checker() -> None:
    catalog = StepCatalog()
    assert catalog.checker_or_none("nope") is None
    assert catalog.checker("shell") is catalog.checker("shell")
    with pytest.raises(KeyError):
        catalog.checker("nope")
