"""Jobs in bulk: out as a bundle, in from bundles, manifests and the exports of other systems."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from windlass.clock import to_text
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.engine import Engine
from windlass.engine.jobs import find_revised
from windlass.engine.manifests import ManifestText
from windlass.errors import UserError
from windlass.model.manifest.opsconductor import converted
from windlass.store import jobs as stored
from windlass.store.jobs import JobFilter
from windlass.store.tags import tags_of
from windlass.store.transaction import Transaction

#: What stands in a bundle as its format.
FORMAT: Final = "windlass/bundle/v1"
#: Jobs of one bundle.
_MOST: Final = 100_000


@dataclass(slots=True)
class Unpacked:
    """What texts hold, each job as a text of its own where it stood in a bundle or an export."""

    texts: list[ManifestText] = field(default_factory=list)
    #: What has no counterpart here, one sentence each.
    lost: list[str] = field(default_factory=list)
    #: Aliases of jobs that a bundle says may not be started.
    disabled: set[str] = field(default_factory=set)


def unpack(texts: Sequence[ManifestText]) -> Unpacked:
    """Take bundles and exports of other systems apart; other texts stay as they are.

    Raises UserError where a bundle is not one that this version knows.
    """
    found = Unpacked()
    for text in texts:
        content = _json(text.data)
        if isinstance(content, dict) and "format" in content and "jobs" in content:
            _unpack_bundle(text.file, content, found)
            continue
        conversion = converted(content)
        if conversion is None:
            found.texts.append(text)
            continue
        found.lost += conversion.lost
        found.texts += [_text(text.file, name, document) for name, document in conversion.documents]
    return found


def _json(data: bytes | str) -> Any:
    try:
        return orjson.loads(data)
    except ValueError:
        return None


def _unpack_bundle(file: str, content: dict[str, Any], found: Unpacked) -> None:
    jobs = content["jobs"]
    if content["format"] != FORMAT or not isinstance(jobs, list):
        raise UserError(f'{file}: this is no bundle of the format "{FORMAT}", which this version reads.')
    for number, job in enumerate(jobs):
        definition = job.get("definition") if isinstance(job, dict) else None
        if not isinstance(definition, dict):
            raise UserError(f"{file}: jobs[{number}] has no definition.")
        alias = str(job.get("alias"))
        found.texts.append(_text(file, alias, definition))
        if job.get("enabled") is False:
            found.disabled.add(alias)


def _text(file: str, name: str, document: dict[str, Any]) -> ManifestText:
    return ManifestText(f"{file}#{name}", orjson.dumps(document, option=orjson.OPT_INDENT_2))


async def import_jobs(
    engine: Engine, texts: Sequence[ManifestText], options: ApplyOptions, *, overwrite: bool = False
) -> dict[str, Any]:
    """Store the jobs of texts, all or none; the answer is that of an apply, with `lost`: what has no counterpart.

    A job that is there with other content is refused unless `overwrite`. Raises as `apply` does, and UserError where a
    bundle is of an unknown format.
    """
    found = unpack(texts)
    options = replace(options, create_only=not overwrite, disabled=frozenset(found.disabled))
    applied = await apply(engine, found.texts, options)
    return {**applied.to_json(), "lost": found.lost}


async def export_jobs(engine: Engine, filters: JobFilter, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return a bundle of the jobs that fit, or of those that are named, as in `job@7` with a revision.

    Raises NotFound where one that is named does not exist.
    """
    return await engine.store.read(_export, filters, names)


def _export(tx: Transaction, filters: JobFilter, names: Sequence[str]) -> dict[str, Any]:
    project = filters.project or "default"
    if names:
        found = [
            (job, one.number, one.digest, one.content) for job, one in (find_revised(tx, project, n) for n in names)
        ]
    else:
        rows = stored.list_jobs(tx, replace(filters, limit=_MOST))
        found = [(job, job.revision, job.digest, content) for job, content in rows]
    return {
        "format": FORMAT,
        "exportedAt": to_text(tx.now),
        "project": filters.project,
        "jobs": [
            {
                "alias": job.alias,
                "revision": number,
                "digest": digest,
                "enabled": job.enabled,
                "tags": tags_of(tx, job.id),
                "definition": orjson.loads(content),
            }
            for job, number, digest, content in found
        ],
    }
