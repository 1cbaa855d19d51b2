"""Classes and functions as manifests."""
# ruff: noqa: ANN001, ANN201, ANN202, D101, RUF012 - jobs as applications write them, some without annotations

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
import pytest

from tests.sdk import sample
from windlass import Job, RetryPolicy, UserError, job
from windlass.errors import Conflict
from windlass.model.catalog import StepCatalog
from windlass.model.manifest.load import load
from windlass.sdk.definition import define
from windlass.sdk.registry import Registry
from windlass.sdk.retry import seconds


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Everything:
    text: str
    number: int = 3
    ratio: float = 0.5
    flag: bool = False
    colour: Colour = Colour.RED
    mode: Literal["a", "b"] = "a"
    names: list[str] = field(default_factory=list)
    perhaps: int | None = None


class HTTPBackup(Job[Everything, None]):
    """Back up over HTTP.

    More about it.
    """

    retry = RetryPolicy(attempts=5, strategy="fixed", delay="1m")
    timeout = 90
    queue = "slow"
    priority = "high"
    labels = {"team": "ops"}
    on_worker_lost = "retry"

    async def execute(self, context, progress):
        """Do nothing."""


class Anybodys(Job[int, int]):
    requires = {"app": None}

    async def execute(self, context, progress):
        """Do nothing."""


def canonical(manifest: dict[str, Any]) -> dict[str, Any]:
    loaded = load(orjson.dumps(manifest), "job", StepCatalog())
    assert loaded.ok, loaded.findings
    return dict(loaded.documents[0].canonical)


@pytest.mark.promise("K01")
def test_a_class_is_the_job_that_a_person_would_write() -> None:
    definition = define(HTTPBackup)
    found = canonical(definition.manifest(app="shop"))
    assert found["metadata"] == {"alias": "http-backup", "labels": {"team": "ops"}}
    assert found["description"] == "Back up over HTTP."
    assert (found["queue"], found["priority"]) == ("slow", 10)
    step = found["steps"][0]
    assert step["type"] == "python"
    assert step["config"] == {"function": f"{__name__}:HTTPBackup", "isolation": "inline"}
    assert step["retry"] == {"attempts": 5, "strategy": "fixed", "delay": 60}
    assert (step["timeout"], step["onWorkerLost"]) == (90, "retry")
    assert found["parameters"] == {
        "text": {"type": "string", "required": True},
        "number": {"type": "integer", "default": 3},
        "ratio": {"type": "number", "default": 0.5},
        "flag": {"type": "boolean", "default": False},
        "colour": {"type": "string", "enum": ["red"], "default": "red"},
        "mode": {"type": "string", "enum": ["a", "b"], "default": "a"},
        "names": {"type": "array"},
        "perhaps": {"type": "integer"},
    }


@pytest.mark.promise("K03")
def test_the_default_policy_is_three_starts_exponential_from_five_seconds() -> None:
    step = define(sample.Price).manifest(app="shop")["steps"][0]
    assert step["retry"] == {
        "attempts": 3,
        "strategy": "exponential",
        "delay": 5.0,
        "maxDelay": 300.0,
        "jitter": True,
        "on": ["exit", "error", "connection"],
    }


def test_a_function_has_its_parameters() -> None:
    @job(name="resize-it", queue="images")
    def resize(path: str, width: int = 100, progress: Any = None) -> None: ...

    found = canonical(define(resize).manifest(app="shop"))
    assert found["metadata"]["alias"] == "resize-it"
    assert found["parameters"] == {
        "path": {"type": "string", "required": True},
        "width": {"type": "integer", "default": 100},
    }
    assert found["steps"][0]["config"]["isolation"] == "thread"


def test_a_function_that_is_a_job_can_still_be_called() -> None:
    assert sample.double(4) == 8
    assert sample.double.__name__ == "double"


def test_what_job_stands_for_counts_where_execute_says_nothing() -> None:
    class Silent(Job[int, str]):
        def execute(self, context, progress): ...

    definition = define(Silent)
    assert definition.taking.parameters == {"context": {"type": "integer", "required": True}}
    assert definition.result is str


def test_a_job_requires_its_application_and_what_it_says() -> None:
    @job(requires={"pool": "gpu", "labels": {"disk": "fast"}})
    def train() -> None: ...

    assert canonical(define(train).manifest(app="shop"))["requires"] == {
        "app": "shop",
        "labels": {"disk": "fast"},
        "pool": "gpu",
    }
    assert canonical(define(sample.Price).manifest(app="shop"))["requires"] == {"app": "shop"}
    assert "requires" not in define(sample.Price).manifest(app=None), "who has not the code runs what it imports"

    @job(requires={"app": "bank"})
    async def pay() -> None: ...

    for asking in ("shop", None):
        found = define(pay).manifest(app=asking)
        assert (found["requires"], found["steps"][0]["config"]["isolation"]) == ({"app": "bank"}, "inline")


def test_a_job_that_any_worker_may_take_is_imported_there() -> None:
    found = define(Anybodys).manifest(app="shop")
    config = found["steps"][0]["config"]
    assert ("requires" in found, config["isolation"], "python" in config) == (False, "process", False)
    with pytest.raises(UserError, match="leave `app` out of its `requires`"):
        define(job(requires={"app": None}, isolation="thread")(sample.double.windlass_function)).manifest(app="shop")
    with pytest.raises(UserError, match=r"requires is a mapping with pool, labels or app"):
        define(job(requires=["gpu"])(sample.double.windlass_function))  # type: ignore[call-overload]


def test_an_isolated_job_names_where_its_module_is() -> None:
    config = define(sample.IsolatedPrice).manifest(app="shop")["steps"][0]["config"]
    assert config["isolation"] == "process"
    assert config["function"] == "tests.sdk.sample:IsolatedPrice"
    assert (seconds("1m", "x"), list(config["environment"])) == (60, ["PYTHONPATH"])


def unfit() -> dict[str, tuple[Callable[[], Any], str]]:
    class Nothing(Job[int, int]): ...

    class TwoThings(Job[int, int]):
        def execute(self, one: int, two: int) -> int: ...  # type: ignore[override]

    class Local(Job[int, int]):
        isolation = "process"

        def execute(self, context: int, progress: Any) -> int: ...

    class Blocking(Job[int, int]):
        isolation = "inline"

        def execute(self, context: int, progress: Any) -> int: ...

    class Unnamed(Job[int, int]):
        name = "Not A Name"

        def execute(self, context: int, progress: Any) -> int: ...

    return {
        "no execute": (lambda: define(Nothing), "has no method `execute`"),
        "two contexts": (lambda: define(TwoThings), "let it take one context"),
        "no job": (lambda: define(7), "this is a int"),
        "a lambda": (lambda: define(lambda: None), "give it a `name`"),
        "a bad name": (lambda: define(Unnamed), "cannot be called 'Not A Name'"),
        "not importable": (lambda: define(Local).manifest(app="shop"), "move it to the top level of a module"),
        "holds the loop": (lambda: define(Blocking).manifest(app="shop"), "would hold the event loop"),
        "elsewhere": (lambda: define(sample.InlinePrice).manifest(app=None), "another process owns the store"),
        "no attempts": (lambda: RetryPolicy(attempts=0), "attempts counts starts"),
        "no duration": (lambda: RetryPolicy(delay="soon"), "a text such as 90s"),
        "an unknown option": (lambda: job(retries=3), "@job has no option retries"),  # type: ignore[call-overload]
    }


@pytest.mark.parametrize("case", unfit())
def test_a_mistake_is_told_in_one_sentence(case: str) -> None:
    make, sentence = unfit()[case]
    with pytest.raises(UserError) as caught:
        make()
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_jobs_of_one_application_cannot_share_an_alias() -> None:
    def make(name: str | None) -> Any:
        class Price(Job[int, int]):
            def execute(self, context: int, progress: Any) -> int: ...

        Price.name = name
        return Price

    registry = Registry()
    registry.add(sample.Price)
    with pytest.raises(Conflict, match='both called "price": give one of them a `name`'):
        registry.add(make(None))
    assert registry.add(make("other-price")).alias == "other-price"


def test_code_that_is_defined_again_takes_the_place_of_what_it_was() -> None:
    def make(value: int) -> Any:
        def answer() -> int:
            return value

        return answer

    registry = Registry()
    first = registry.add(make(1))
    assert registry.find(first.path)() == 1
    registry.add(make(2))
    assert registry.find(first.path)() == 2
