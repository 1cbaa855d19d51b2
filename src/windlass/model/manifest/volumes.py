"""A job's named volumes, put into the config of the steps that mount them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from windlass.model.did_you_mean import suggestion
from windlass.model.manifest.problem import Notes, Path

_KINDS = ("bind", "volume", "tmpfs", "pvc", "claimTemplate", "volumeSource")


class Volumes:
    """The volumes of one job by name."""

    def __init__(self, volumes: list[dict[str, Any]], notes: Notes, path: Path) -> None:
        """Take the entries of `volumes` as read; says what is wrong with them."""
        self.by_name: dict[str, dict[str, Any]] = {}
        for index, volume in enumerate(volumes):
            place = (*path, index)
            name = volume.get("name")
            if name in self.by_name:
                notes.error(place, f'two volumes are named "{name}"', "key")
            if ("source" in volume) == ("sources" in volume):
                notes.error(place, "a volume has either source or sources", "key")
            for key in ("source", "sources"):
                for engine, source in _by_engine(volume.get(key), key):
                    here = (*place, key) if key == "source" else (*place, key, engine)
                    if len(source) != 1 or next(iter(source)) not in _KINDS:
                        notes.error(here, f"a volume's source is one of {', '.join(_KINDS)}, with its value", "key")
            if name is not None:
                self.by_name[name] = volume

    def mounted(
        self,
        config: dict[str, Any],
        mounts: list[dict[str, Any]] | None,
        type_name: str,
        engine: str | None,
        notes: Notes,
        path: Path,
    ) -> dict[str, Any]:
        """Return the config of a container step with its volume mounts as mounts."""
        if mounts is None:
            return config
        if not type_name.startswith("container."):
            notes.error((*path, "volumeMounts"), f"volumeMounts does not belong to a step of type {type_name}", "key")
            return config
        engine = engine or type_name.removeprefix("container.")
        result = list(config.get("mounts", []))
        taken = {mount.get("target") for mount in result if isinstance(mount, dict)}
        for index, mount in enumerate(mounts):
            place = (*path, "volumeMounts", index)
            name = mount.get("volume")
            volume = self.by_name.get(name) if name is not None else None
            if name is not None and volume is None:
                near = suggestion(name, self.by_name)
                notes.error((*place, "volume"), f'unknown volume "{name}"{near}')
                continue
            if mount.get("target") in taken:
                notes.error((*place, "path"), f"two mounts share the target {mount.get('target')}")
            taken.add(mount.get("target"))
            source = _source(volume or {}, engine)
            if source is None:
                notes.error((*place, "volume"), f'the volume "{name}" has no source for {engine}')
            elif source["type"] in _KINDS and "target" in mount:
                result.append({**mount, **source})
        return {**config, "mounts": result} if result else config


def _by_engine(value: Any, key: str) -> list[tuple[str, Mapping[str, Any]]]:
    if not isinstance(value, dict):
        return []
    return [("", value)] if key == "source" else list(value.items())


def _source(volume: Mapping[str, Any], engine: str) -> dict[str, Any] | None:
    """Return the mount fields of a volume under one engine."""
    source = volume.get("source") or volume.get("sources", {}).get(engine)
    if not isinstance(source, dict) or len(source) != 1:
        return None
    kind, value = next(iter(source.items()))
    access = {"access_mode": volume["accessMode"]} if "accessMode" in volume else {}
    if isinstance(value, str):
        return {"type": kind, "source": value} | ({"options": access} if access else {})
    options = {**(value if isinstance(value, dict) else {}), **access}
    return {"type": kind} | ({"options": options} if options else {})
