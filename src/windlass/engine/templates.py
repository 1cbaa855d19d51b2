"""Manifests read with the templates that are stored: what a job is made from."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson

from windlass.engine.engine import Engine
from windlass.engine.manifests import Manifests, ManifestText, load_manifests, manifest_limits, names_template
from windlass.engine.stored_documents import TEMPLATES
from windlass.model.manifest.filling import Template
from windlass.store.documents import documents_of
from windlass.store.transaction import Transaction


async def read_manifests(engine: Engine, texts: Sequence[ManifestText], project: str) -> Manifests:
    """Load and check texts; jobs may be made from templates among them, or from those that the project has."""
    stored = await engine.store.read(_stored, project) if any(map(names_template, texts)) else {}
    return await asyncio.to_thread(load_manifests, texts, engine.catalog, manifest_limits(engine.settings), stored)


def _stored(tx: Transaction, project: str) -> dict[str, Template]:
    found = {}
    for document in documents_of(tx, TEMPLATES.kind, project):
        content = orjson.loads(document.content)
        place = f"template {document.name}"
        found[document.name] = Template(document.name, content.get("parameters", {}), content["spec"], place)
    return found
