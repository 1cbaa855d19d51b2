"""The code atlas, on a small code base of the test's own; and the demo, which runs it on this one."""

from __future__ import annotations

import json
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

import pytest

from tests.fixtures.program import Windlass
from tests.repository.tree import ROOT

ATLAS: Final = ROOT / "examples" / "code-atlas" / "atlas.yaml"
BLOCK: Final = "\n".join(f"    value_{number} = compute({number})" for number in range(8))
SOURCES: Final = {
    "app/main.py": '"""The top."""\nfrom app.base import helper\nfrom app.parts import one, two\n',
    "app/base.py": f'"""The ground."""\n\n\ndef helper():\n    """Help."""\n{BLOCK}\n',
    "app/parts/__init__.py": "",
    "app/parts/one.py": f"from ..base import helper\n\n\ndef bare(x):\n{BLOCK}\n    return x if x else None\n",
    "app/parts/two.py": "import app.base\n",
    "app/parts/<b>odd & name.py": "x = 1\n",
    "tests/test_base.py": "def test_it():\n    assert True\n",
    "broken.py": "def (:\n",
    "notes.md": "# Notes\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for path, text in SOURCES.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


class Atlas:
    """Runs the job on one code base, and reads what it says."""

    def __init__(self, windlass: Windlass, project: Path) -> None:
        """Look at `project`, with an empty folder beside it for what is kept."""
        self._windlass = windlass
        self.out = project.parent / "out"
        self._given = {"project": str(project), "out": str(self.out), "folders": '["app", "app/parts", "."]'}

    def run(self, **more: str) -> dict[str, Any]:
        pairs = (part for name, value in (self._given | more).items() for part in ("-p", f"{name}={value}"))
        run: dict[str, Any] = self._windlass("exec", ATLAS, "--json", *pairs).json()
        return run

    def states(self, run: dict[str, Any]) -> dict[str, str]:
        graph = self._windlass("run", "graph", run["id"], "--json").json()
        return {
            node["name"] + (f"[{task['key']}]" if task["key"] else ""): task["state"]
            for node in graph["nodes"]
            for task in node["tasks"]
        }

    def log(self, run: dict[str, Any], step: str) -> str:
        return self._windlass("run", "logs", run["id"], "--step", step).stdout

    def kept(self, run: dict[str, Any], name: str) -> str:
        answer = self._windlass("run", "artifacts", run["id"], name, "--output", "-")
        assert answer.code == 0, answer.stderr
        return answer.stdout


@pytest.fixture
def atlas(windlass: Windlass, project: Path) -> Atlas:
    return Atlas(windlass, project)


class Page(HTMLParser):
    """The texts of a page, and whether every element that is opened is closed."""

    _EMPTY: Final = frozenset({"br", "meta", "line", "rect", "circle"})

    def __init__(self, html: str) -> None:
        """Read `html` to its end."""
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value for name, value in attrs if name in {"href", "src"} and value]
        if tag not in self._EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.promise("C12")
def test_an_atlas_is_drawn_though_the_strict_reader_refuses_things(atlas: Atlas) -> None:
    run = atlas.run()
    assert (run["state"], run["allowedFailures"]) == ("completed", 1)
    states = atlas.states(run)
    assert (states.pop("strict"), states.pop("compare")) == ("failed", "skipped")
    assert set(states.values()) == {"completed"}
    assert {"measure[app]", "measure[app/parts]", "measure[.]"} <= set(states)
    assert "app/parts/one.py:4: bare has no docstring" in atlas.log(run, "strict")
    assert "broken.py is left out" in atlas.log(run, "measure")
    assert "8 lines: app/base.py:6, app/parts/one.py:5" in atlas.log(run, "repeats")
    assert "All 5 imports between parts point down" in atlas.log(run, "report")
    assert sorted(path.name for path in atlas.out.iterdir()) == ["last.json"]


def test_what_is_kept_are_figures_and_a_page_that_needs_nothing_else(atlas: Atlas) -> None:
    run = atlas.run()
    figures = json.loads(atlas.kept(run, "code-atlas.json"))
    assert figures["totals"]["files"] == 7
    assert figures["order"] == ["app/main.py", "app/parts", "app/base.py"]
    assert {file["path"] for file in figures["files"] if file["test"]} == {"tests/test_base.py"}
    html = atlas.kept(run, "code-atlas.html")
    page = Page(html)
    assert page.open == []
    assert page.addresses == []
    assert any("<b>odd & name.py" in text for text in page.texts)
    assert "A strict reader refuses 1 thing" in page.texts
    assert "prefers-color-scheme: dark" in html


def test_the_second_atlas_says_what_has_changed(atlas: Atlas, project: Path) -> None:
    atlas.run()
    (project / "app" / "more.py").write_text("y = 1\nz = 2\n")
    run = atlas.run(strict="false")
    states = atlas.states(run)
    assert (run["state"], states["compare"], states["strict"]) == ("completed", "completed", "skipped")
    assert "Since the last atlas: +1 files, +2 lines of code" in atlas.log(run, "report")


@pytest.mark.promise("C12")
def test_without_any_python_nothing_is_drawn_and_the_room_is_cleaned_all_the_same(atlas: Atlas) -> None:
    run = atlas.run(folders='["no/such/folder"]')
    states = atlas.states(run)
    assert (run["state"], states["collect"], states["report"], states["clean-up"]) == (
        "failed",
        "failed",
        "skipped",
        "completed",
    )
    assert "no Python file in no/such/folder" in run["error"]["message"]


@pytest.mark.slow
@pytest.mark.promise("C05")
@pytest.mark.promise("C12")
def test_the_demo_shows_what_it_says(windlass: Windlass, tmp_path: Path) -> None:
    kept = tmp_path / "demo"
    done = subprocess.run(
        [ROOT / "tools" / "demo.sh", kept],
        env=windlass.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=55,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "repeats attempt 1 failed; next attempt" in done.stdout
    assert "strict failed" in done.stdout
    assert "imports between parts point" in done.stdout
    assert "copied in attempt 2" in done.stdout
    assert f"{kept}/code-atlas.html" in done.stdout
    assert Page((kept / "code-atlas.html").read_text()).open == []
