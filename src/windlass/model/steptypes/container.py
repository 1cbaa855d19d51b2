"""Step types that run a container: Docker, Podman, Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.model.steptype import StepSpec
from windlass.model.steptypes import fragment as f

_MOUNT: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["target"],
    "properties": {
        "type": {"enum": ["bind", "volume", "tmpfs", "pvc", "claimTemplate", "volumeSource"], "default": "bind"},
        "source": {**f.TEXT, "description": "a path of the host, or the name of a volume or claim"},
        "target": {**f.TEXT, "pattern": "^/", "description": "where the container sees it"},
        "read_only": {**f.BOOLEAN, "default": False},
        "sub_path": f.TEXT,
        "volume": {**f.TEXT, "description": "name that the manifest gave the volume"},
        "options": {"type": "object", "description": "further settings of that kind of volume"},
    },
}
_RESOURCES: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "cpus": {"type": "number", "exclusiveMinimum": 0, "description": "processors, also in fractions"},
        "memory": f.SIZE,
        "pids": {"type": "integer", "minimum": 1},
        "gpus": {"type": ["integer", "string"]},
    },
}
_CONFIG = f.config(
    {
        "image": {**f.TEXT, "description": "the image, with its tag or digest"},
        "command": {**f.COMMAND, "description": "arguments, or a script for the image's sh"},
        "env": {**f.ENVIRONMENT, "description": "variables on top of the step's `env`"},
        "workdir": f.TEXT,
        "mounts": {"type": "array", "items": _MOUNT},
        "resources": _RESOURCES,
        "network": f.TEXT,
        "user": f.TEXT,
        "pull_policy": {"enum": ["always", "missing", "never"], "default": "missing"},
    },
    required=("image",),
)


def _engine(name: str, title: str) -> StepSpec:
    return StepSpec(
        name=f"container.{name}",
        summary=f"Run a container with {title}.",
        schema=_CONFIG,
        places={"command": "sh", "command.*": "argv", "env.*": "env"},
        in_force=False,
    )


DOCKER = _engine("docker", "Docker")
PODMAN = _engine("podman", "Podman")
KUBERNETES = _engine("kubernetes", "Kubernetes")

SPECS = (DOCKER, PODMAN, KUBERNETES)
