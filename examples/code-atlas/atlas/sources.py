"""The step `collect`: which files there are, what they are, and into which parts they are cut."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from atlas.parts import part_of_each

#: Folders that hold nothing that was written by hand.
_NOT_WRITTEN = {"__pycache__", "build", "dist", "node_modules", "site-packages", "venv"}
#: Bytes of the largest file that is looked into.
_LARGEST = 2 * 1024 * 1024
_LANGUAGES = {
    ".c": "C", ".h": "C", ".css": "CSS", ".go": "Go", ".html": "HTML", ".java": "Java", ".js": "JavaScript",
    ".json": "JSON", ".md": "Markdown", ".py": "Python", ".rs": "Rust", ".rst": "reStructuredText", ".sh": "Shell",
    ".sql": "SQL", ".toml": "TOML", ".ts": "TypeScript", ".txt": "Text", ".yaml": "YAML", ".yml": "YAML",
}  # fmt: skip


def collect(
    project: str, folders: list[str], work: str, kept: str, progress: Callable[[float, str], object]
) -> dict[str, object]:
    """Write the list of files below `project` into the folder `work`, each with its part; say whether `kept` exists.

    Raises FileNotFoundError where there is no Python in any of `folders`.
    """
    root = Path(project).resolve()
    languages: dict[str, dict[str, int]] = {}
    python: list[str] = []
    paths = sorted(set(_tracked(root) or _found(root)))
    for number, path in enumerate(paths):
        if number % 100 == 0:
            progress(100 * number / len(paths), path)
        content = _text(root / path)
        if content is None:
            continue
        language = _LANGUAGES.get(Path(path).suffix, "other")
        seen = languages.setdefault(language, {"files": 0, "lines": 0})
        seen["files"] += 1
        seen["lines"] += content.count(b"\n")
        if language == "Python":
            python.append(path)
    part_of = part_of_each(python, folders)
    if not part_of:
        raise FileNotFoundError(f"no Python file in {', '.join(folders)} of {root}; the parameters say where to look")
    folder = Path(work)
    folder.mkdir(parents=True)
    listing = {
        "name": _name(root),
        "root": str(root),
        "commit": _commit(root),
        "languages": languages,
        "part_of": part_of,
    }
    (folder / "files.json").write_text(json.dumps(listing))
    print(f"{len(paths)} files, {len(python)} of them Python, {len(python) - len(part_of)} of those in no part")
    return {"files": len(part_of), "has_earlier": Path(kept).exists()}


def _tracked(root: Path) -> list[str]:
    """Return the files that Git knows below `root`; none where it is no checkout."""
    listed = _git(root, "ls-files", "-z", "--cached")
    return [path for path in listed.split("\0") if path]


def _found(root: Path) -> Iterator[str]:
    """Yield the files below `root` that look as if somebody had written them."""
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _NOT_WRITTEN and not name.startswith(".")]
        for name in files:
            yield (Path(folder) / name).relative_to(root).as_posix()


def _text(path: Path) -> bytes | None:
    """Return the content of a plain file of moderate size that holds text."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
        return None
    content = path.read_bytes()
    return None if b"\0" in content[:8192] else content


def _name(root: Path) -> str:
    """Return what the project calls itself, else the name of its folder."""
    described = root / "pyproject.toml"
    try:
        project = tomllib.loads(described.read_text(encoding="utf-8"))["project"]
        return str(project["name"])
    except (OSError, KeyError, ValueError):
        return root.name


def _commit(root: Path) -> str:
    return _git(root, "rev-parse", "--short", "HEAD").strip()


def _git(root: Path, *arguments: str) -> str:
    """Return what Git prints; nothing where there is no Git, or no repository."""
    try:
        done = subprocess.run(  # noqa: S603 - git and fixed words
            ["git", "-C", str(root), *arguments],  # noqa: S607 - wherever the system has it
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
