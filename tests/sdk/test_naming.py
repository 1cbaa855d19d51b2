"""What applications are called where they do not say."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from windlass import UserError, Windlass
from windlass.sdk.naming import application_name, importable_name


def spec(name: str) -> Any:
    return SimpleNamespace(name=name)


@pytest.mark.parametrize(
    ("main", "called", "imported"),
    [
        ({"__file__": "/srv/orders.py"}, "orders", "orders"),
        ({"__file__": "/srv/Nightly Orders.v2.py"}, "nightly-orders", "__main__"),
        ({"__file__": "/srv/_9.py"}, "9", "_9"),
        ({"__file__": "<stdin>"}, "main", "__main__"),
        ({}, "main", "__main__"),
        ({"__file__": "/srv/shop/__main__.py", "__spec__": spec("shop.__main__")}, "shop", "shop"),
        ({"__file__": "/srv/shop/web.py", "__spec__": spec("shop.web")}, "shop", "shop.web"),
    ],
)
def test_the_main_program_is_called_as_its_file(
    monkeypatch: pytest.MonkeyPatch, main: dict[str, Any], called: str, imported: str
) -> None:
    monkeypatch.setitem(sys.modules, "__main__", SimpleNamespace(**main))  # type: ignore[arg-type]
    assert (application_name(None, "__main__"), importable_name("__main__")) == (called, imported)


def test_others_are_called_as_their_package_or_as_they_say() -> None:
    assert [application_name(None, name) for name in ("shop.jobs.daily", "Shop")] == ["shop", "shop"]
    assert importable_name("shop.jobs.daily") == "shop.jobs.daily"
    assert (Windlass("memory://").name, Windlass("memory://", name="shop-2").name) == ("tests", "shop-2")


@pytest.mark.parametrize("name", ["", "Shop", "a/b", "-a", "x" * 64, 7])
def test_what_can_be_no_name_is_told_in_one_sentence(name: Any) -> None:
    with pytest.raises(UserError, match="cannot be the name of an application; that is 1 to 63"):
        Windlass("memory://", name=name)
