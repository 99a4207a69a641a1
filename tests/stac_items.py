"""Validation of STAC items without a network: pystac brings STAC's own schemas, extensions' are kept here."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from requirements import require_package

for package in ("jsonschema", "pystac"):
    require_package(package)
import jsonschema  # noqa: E402
from pystac.validation.local_validator import get_local_schema_cache  # noqa: E402
from referencing import Registry, Resource  # noqa: E402

__all__ = ["validate_item"]

_FOLDER = Path(__file__).parent / "stac_schemas"
_CORE = "https://schemas.stacspec.org/v{version}/item-spec/json-schema/item.json"


def validate_item(item: dict[str, Any]) -> None:
    """Validate against STAC and every extension the item names. Raises jsonschema.ValidationError.

    KeyError is of an extension whose schema is not kept.
    """
    schemas = _schemas()
    registry = Registry().with_resources((uri, Resource.from_contents(it)) for uri, it in schemas.items())
    for uri in (_CORE.format(version=item["stac_version"]), *item["stac_extensions"]):
        jsonschema.Draft7Validator(schemas[uri], registry=registry).validate(item)


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    kept = [json.loads(path.read_text()) for path in _FOLDER.glob("*.json")]
    return get_local_schema_cache() | {schema["$id"].rstrip("#"): schema for schema in kept}
