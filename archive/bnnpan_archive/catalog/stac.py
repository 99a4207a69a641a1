"""Scenes of a STAC catalogue, collection, item collection or item, read from local files.

An item is a scene if it has a PAN and an MS: assets named with `--pan-asset` and `--ms-asset`, else those
whose keys or bands say so.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from pathlib import Path

from bnnpan_archive.errors import needs_extra
from bnnpan_archive.scene import Scene, safe_name
from bnnpan_runtime.errors import SceneError, one_line

from .places import located

with needs_extra("STAC catalogues"):
    import pystac

__all__ = ["scenes_of_stac"]

_PAN_KEYS = ("pan", "panchromatic")
_MS_KEYS = ("ms", "mul", "multispectral", "analytic")
_COLOURS = ("coastal", "blue", "green", "yellow", "red", "rededge", "nir", "nir08", "nir09")

_TIME = "%Y-%m-%dT%H:%M:%SZ"

_log = logging.getLogger(__name__)


def scenes_of_stac(path: Path, kind: str, pan_asset: str | None, ms_assets: Sequence[str]) -> list[Scene]:
    """A scene for every item that has a PAN and an MS, below a STAC file of that type. Raises SceneError."""
    try:
        items = list(_items(path, kind))
    except Exception as error:  # pystac lets through whatever a damaged file makes of its code
        raise SceneError(f"{path}: not a STAC catalogue that can be read ({one_line(error)})") from error
    scenes = [scene for item in items if (scene := _scene(item, path, pan_asset, ms_assets)) is not None]
    if len(scenes) < len(items):
        _log.warning("%s: %d of %d items have no PAN and MS and are left out",
                     path, len(items) - len(scenes), len(items))  # fmt: skip
    return scenes


def _items(path: Path, kind: str) -> Iterable[pystac.Item]:
    if kind == "FeatureCollection":
        return pystac.ItemCollection.from_file(str(path))
    found = pystac.read_file(str(path))
    return [found] if isinstance(found, pystac.Item) else found.get_items(recursive=True)


def _scene(item: pystac.Item, path: Path, pan_asset: str | None, ms_assets: Sequence[str]) -> Scene | None:
    pan = _named(item, [pan_asset]) if pan_asset else _pan(item.assets)
    ms = _named(item, ms_assets) if ms_assets else _ms(item.assets)
    if len(pan) != 1 or not ms:
        return None
    own = item.get_self_href()
    folder = Path(own).parent if own else path.parent
    names = [_band_names(asset) for asset in ms]
    return Scene(
        name=safe_name(item.id),
        pan=located(pan[0].href, folder),
        ms=tuple(located(asset.href, folder) for asset in ms),
        bands=tuple(name for of_asset in names for name in of_asset) if all(names) else (),
        acquired=None if item.datetime is None else item.datetime.astimezone(UTC).strftime(_TIME),
        item=own,
    )


def _named(item: pystac.Item, keys: Iterable[str]) -> list[pystac.Asset]:
    """All assets of these names, or none if one is missing."""
    wanted = list(keys)
    return [item.assets[key] for key in wanted] if all(key in item.assets for key in wanted) else []


def _pan(assets: Mapping[str, pystac.Asset]) -> list[pystac.Asset]:
    by_key = [asset for key, asset in assets.items() if key.lower() in _PAN_KEYS]
    return by_key or [asset for asset in assets.values() if _band_names(asset) == ("pan",)]


def _ms(assets: Mapping[str, pystac.Asset]) -> list[pystac.Asset]:
    """The one asset that holds them all, else one for each colour."""
    several = [
        asset
        for key, asset in assets.items()
        if key.lower() in _MS_KEYS or len(set(_band_names(asset)) & set(_COLOURS)) > 1
    ]
    if several:
        return several[:1]
    return [
        asset for asset in assets.values() if len(names := _band_names(asset)) == 1 and names[0] in _COLOURS
    ]


def _band_names(asset: pystac.Asset) -> tuple[str, ...]:
    """Common names of the bands, by STAC 1.1 or the EO extension before it; none unless all have one."""
    fields = asset.extra_fields
    bands = fields.get("bands") or fields.get("eo:bands") or ()
    names = [band.get("eo:common_name") or band.get("common_name") for band in bands]
    return tuple(names) if all(names) else ()
