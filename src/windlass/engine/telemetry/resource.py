"""Who sends: this service, as the variables OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say it, else as it is."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

from opentelemetry.sdk.resources import OTELResourceDetector, Resource


def resource_of(environ: Mapping[str, str], version: str) -> Resource:
    """Return what describes this process; what the variables say goes before."""
    own = Resource(
        {
            "service.name": "windlass",
            "service.version": version,
            "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
        }
    )
    named = bool(environ.get("OTEL_RESOURCE_ATTRIBUTES") or environ.get("OTEL_SERVICE_NAME"))
    return own.merge(OTELResourceDetector().detect()) if named else own
