"""Finding step types by entry point."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from windlass.errors import NotFound, UserError
from windlass.steps.registry import GROUP, StepTypes

PLUGIN = """
from windlass.model.steptype import StepSpec

class Greet:
    spec = StepSpec(name="greet", summary="Say hello.", schema={"type": "object"})
    async def run(self, context, config): ...

class Misnamed(Greet):
    spec = StepSpec(name="other", summary="Say hello.", schema={"type": "object"})

raise_at_import = None
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "greeting_plugin.py").write_text(PLUGIN)
    (tmp_path / "broken_plugin.py").write_text("raise RuntimeError('no\\n  luck')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("greeting_plugin", "broken_plugin"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


def test_every_built_in_type_is_installed_and_has_the_models_spec() -> None:
    types = StepTypes()
    catalog = types.catalog()
    assert {"shell", "process"} <= set(types.names)
    for name in ("shell", "process"):
        assert types.get(name).spec is catalog[name]
    assert not types.broken


def test_a_built_in_type_is_loaded_only_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "windlass.steps.shell", raising=False)
    types = StepTypes()
    types.catalog()
    assert "windlass.steps.shell" not in sys.modules
    types.get("shell")
    assert "windlass.steps.shell" in sys.modules


@pytest.mark.usefixtures("plugin")
def test_a_plug_in_stands_beside_the_built_in_types() -> None:
    types = StepTypes([point("greet", "greeting_plugin:Greet")])
    assert types.catalog()["greet"].summary == "Say hello."
    assert types.get("greet") is types.get("greet")


@pytest.mark.usefixtures("plugin")
def test_broken_plug_ins_are_named_and_the_others_go_on() -> None:
    types = StepTypes(
        [
            point("bad", "broken_plugin:Any"),
            point("gone", "no_such_module:Any"),
            point("greet", "greeting_plugin:Greet"),
            point("misnamed", "greeting_plugin:Misnamed"),
            point("number", "sys:maxsize"),
        ]
    )
    catalog = types.catalog()
    assert "greet" in catalog
    assert set(types.broken) == {"bad", "gone", "misnamed", "number"}
    assert (
        'the step type "bad" of an unknown distribution cannot be loaded: RuntimeError: no luck' in types.broken["bad"]
    )
    assert 'its spec is named "other"' in types.broken["misnamed"]
    with pytest.raises(UserError, match="no_such_module"):
        types.get("gone")


@pytest.mark.usefixtures("plugin")
def test_a_name_has_one_owner() -> None:
    types = StepTypes([point("greet", "greeting_plugin:Greet"), point("greet", "broken_plugin:Any")])
    assert types.names == ("greet",)
    assert list(types.broken.values()) == ["the name is taken by an unknown distribution"]


def test_what_is_missing_is_said() -> None:
    types = StepTypes()
    with pytest.raises(NotFound, match='did you mean "shell"'):
        types.get("shel")
    with pytest.raises(NotFound, match=r'"ssh.exec" is known, but this installation has nothing that runs it'):
        types.get("ssh.exec")
