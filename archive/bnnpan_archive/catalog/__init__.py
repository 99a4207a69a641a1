"""Catalogues of scenes: a STAC catalogue, a table, or a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from bnnpan_archive.scene import Scene, check_names
from bnnpan_runtime.errors import SceneError, one_line

from .folder import scenes_of_folder
from .table import scenes_of_rows, scenes_of_table

__all__ = ["read_catalog"]

_STAC_TYPES = {"Catalog", "Collection", "Feature", "FeatureCollection"}
_STAC_NAMES = ("catalog.json", "collection.json")


def read_catalog(
    path: Path, *, without: Path, pan_asset: str | None = None, ms_assets: Sequence[str] = ()
) -> Sequence[Scene]:
    """Scenes of a STAC file, a CSV or JSON table, or a folder; in the catalogue's order, never none.

    `without` is the folder of the products, where no scene is looked for. `pan_asset` and `ms_assets` name
    the assets of STAC items, where these do not tell. Raises SceneError or ConfigError.
    """
    if path.is_dir():
        stac = next((path / name for name in _STAC_NAMES if (path / name).is_file()), None)
        scenes = scenes_of_folder(path, without) if stac is None else _of_json(stac, pan_asset, ms_assets)
    elif path.suffix.lower() == ".json" or path.suffix.lower() == ".geojson":
        scenes = _of_json(path, pan_asset, ms_assets)
    else:
        scenes = scenes_of_table(path)
    if not scenes:
        raise SceneError(f"{path}: no pair of PAN and MS in it; see docs/archive.md for what is looked for")
    return check_names(scenes, str(path))


def _of_json(path: Path, pan_asset: str | None, ms_assets: Sequence[str]) -> list[Scene]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SceneError(f"{path}: cannot be read as JSON ({one_line(error)})") from error
    if isinstance(value, dict) and value.get("type") in _STAC_TYPES:
        from .stac import scenes_of_stac

        return scenes_of_stac(path, value["type"], pan_asset, ms_assets)
    return scenes_of_rows(value, path)
