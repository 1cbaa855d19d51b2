"""The step `measure`: reads the files of one part."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from atlas.python_source import Source, read_source


def measure(work: str, part: str, progress: Callable[[float, str], object]) -> dict[str, object]:
    """Write what the files of `part` are made of into the folder `work`; return the part's own figures."""
    listing = json.loads((Path(work) / "files.json").read_text())
    paths = [path for path, name in listing["part_of"].items() if name == part.strip("/")]
    sources: list[Source] = []
    for number, path in enumerate(paths):
        progress(100 * number / len(paths), path)
        try:
            sources.append(read_source(path, (Path(listing["root"]) / path).read_text(encoding="utf-8")))
        except (SyntaxError, UnicodeDecodeError) as error:
            print(f"{path} is left out: {error}")
    functions = [function for source in sources for function in source.functions]
    (Path(work) / file_of(part)).write_text(json.dumps([asdict(source) for source in sources]))
    print(f"{part}: {len(sources)} files, {len(functions)} functions")
    return {"files": len(sources), "functions": len(functions), "code": sum(source.code for source in sources)}


def file_of(part: str) -> str:
    """Return the name of the file that keeps what is known of `part`."""
    return f"part-{part.strip('/').replace('/', '+')}.json"
