"""What is known and does nothing yet is named, each thing once."""

from __future__ import annotations

from typing import Any

from windlass.model.catalog import StepCatalog
from windlass.model.in_force import not_acted_on, not_in_force

CATALOG = StepCatalog()


def test_a_plain_job_is_all_in_force() -> None:
    content = {"metadata": {"alias": "a"}, "steps": [{"name": "s", "type": "shell", "config": {"run": "x"}}]}
    assert not_in_force(content, CATALOG) == []
    assert not_acted_on(content) == []


def test_each_thing_is_named_once_with_its_first_place() -> None:
    content: dict[str, Any] = {
        "metadata": {"alias": "a", "kueue": {}},
        "triggers": [{"type": "manual"}, {"type": "cron"}, {"type": "cron"}],
        "callbacks": [{"type": "notification"}],
        "steps": [
            {
                "name": "s",
                "type": "shell",
                "config": {"run": "x"},
                "env": {"A": "secret://vault/x"},
                "replaySafe": True,
            },
            {"name": "t", "type": "container.docker", "config": {"image": "x"}, "cache": {}},
            {"name": "u", "type": "container.docker", "config": {"image": "x"}, "kueue": {}},
        ],
    }
    content["parameters"] = {"a": {"type": "string"}, **{name: {"type": "string", "secret": True} for name in "bc"}}
    assert not_in_force(content, CATALOG) == [
        (("triggers", 1, "type"), "cron triggers"),
        (("callbacks",), "callbacks"),
        (("parameters", "b", "secret"), "sealed storage of secret parameters"),
        (("steps", 0, "env", "A"), "secret://vault"),
        (("steps", 1, "type"), "container.docker"),
    ]
    assert not_acted_on(content) == [(("metadata", "kueue"), "kueue"), (("steps", 0, "replaySafe"), "replaySafe")]
