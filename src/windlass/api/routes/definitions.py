"""Manifests: applied, checked, compared."""

from __future__ import annotations

from typing import Any, Final

import orjson

from windlass.api.dispatch import media_type
from windlass.api.message import JSON, Answer, Request
from windlass.api.problem import finding_to_json
from windlass.api.routes.shared import PROJECT, ROOT
from windlass.api.table import MIB, Body, Route, closed
from windlass.engine.applying import ApplyOptions, apply
from windlass.engine.engine import Engine
from windlass.engine.job_diff import diff_manifests
from windlass.engine.manifests import ManifestText
from windlass.engine.templates import read_manifests
from windlass.errors import UserError
from windlass.model.apply_plan import Provenance
from windlass.model.manifest.schema import job_schema

_YAML: Final = ("application/yaml", "application/x-yaml", "text/yaml")
_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": "boolean"}
CONTENT: Final[dict[str, Any]] = {
    "files": {
        "type": "array",
        "description": "manifests as text, each with the name that findings show",
        "items": closed({"name": _TEXT, "text": _TEXT}, "name", "text"),
    },
    "definitions": {"type": "array", "description": "manifests as JSON", "items": {"type": "object"}},
}
_PROVENANCE: Final[dict[str, Any]] = closed(dict.fromkeys(("source", "repo", "ref", "commit", "path"), _TEXT), "source")


def _body(**options: Any) -> Body:
    """Return a body that holds manifests and `options`, or one manifest text as it is."""
    schema = closed(CONTENT | options)
    return Body(schema=schema, media=(JSON, *_YAML), limit=64 * MIB)


async def apply_definitions(engine: Engine, request: Request) -> Answer:
    """Make jobs what the manifests say."""
    data = request.data
    if data.get("prune") and "provenance" not in data:
        raise UserError("prune needs provenance with a source: it deletes what came from there and is gone now.")
    options = ApplyOptions(
        project=request.query["project"],
        provenance=Provenance(**data["provenance"]) if "provenance" in data else None,
        author=request.principal.name,
        message=data.get("message"),
        force=data.get("force", False),
        prune=data.get("prune", False),
        dry_run=data.get("dryRun", False),
        per_document=data.get("perDocument", False),
    )
    applied = await apply(engine, manifest_texts(request), options)
    return Answer(body=applied.to_json())


async def lint_definitions(engine: Engine, request: Request) -> Answer:
    """Check manifests; what is wrong with them is the answer, not an error."""
    texts = manifest_texts(request)
    found = await read_manifests(engine, texts, request.query["project"])
    return Answer(
        body={
            "errors": [finding_to_json(finding) for finding in found.errors],
            "warnings": [finding_to_json(finding) for finding in found.warnings],
            "documents": [
                {
                    "alias": one.document.alias,
                    "file": one.file,
                    "line": one.document.line,
                    "digest": one.document.digest,
                }
                for one in found.everything
            ],
        }
    )


async def diff_definitions(engine: Engine, request: Request) -> Answer:
    """Say what applying the manifests would change."""
    data = request.data
    found = await diff_manifests(
        engine,
        manifest_texts(request),
        project=request.query["project"],
        source=data.get("source"),
        prune=data.get("prune", False),
    )
    return Answer(body=found.to_json() | {"differs": found.differs})


async def get_schema(engine: Engine, _: Request) -> Answer:
    """Return the JSON Schema of manifests."""
    return Answer(body=job_schema(engine.catalog))


def manifest_texts(request: Request) -> list[ManifestText]:
    """Return the manifests of a request. Raises UserError where there are none."""
    if media_type(request.headers.get("content-type", JSON)) in _YAML:
        return [ManifestText("body", request.body)]
    data = request.data
    texts = [ManifestText(one["name"], one["text"]) for one in data.get("files", ())]
    texts += [
        ManifestText(f"definitions[{number}]", orjson.dumps(one))
        for number, one in enumerate(data.get("definitions", ()))
    ]
    if not texts:
        raise UserError('There is no manifest in the request; give "files" or "definitions".')
    return texts


ROUTES: Final = (
    Route(
        method="GET",
        path=f"{ROOT}/jobdefs/schema",
        permission="view",
        handler=get_schema,
        summary="Return the JSON Schema of a job's manifest.",
    ),
    Route(
        method="POST",
        path=f"{ROOT}/jobdefs/apply",
        permission="edit",
        handler=apply_definitions,
        changes=True,
        summary="Make jobs what manifests say, in one transaction.",
        query=(PROJECT,),
        body=_body(provenance=_PROVENANCE, message=_TEXT, force=_FLAG, prune=_FLAG, dryRun=_FLAG, perDocument=_FLAG),
    ),
    Route(
        method="POST",
        path=f"{ROOT}/jobdefs/lint",
        permission="view",
        handler=lint_definitions,
        changes=False,
        summary="Check manifests and report every finding.",
        query=(PROJECT,),
        body=_body(),
    ),
    Route(
        method="POST",
        path=f"{ROOT}/jobdefs/diff",
        permission="view",
        handler=diff_definitions,
        changes=False,
        summary="Say what applying manifests would change.",
        query=(PROJECT,),
        body=_body(source=_TEXT, prune=_FLAG),
    ),
)
