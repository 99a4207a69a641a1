"""The JSON schema that ships and the reader agree on every manifest, whatever is changed in it."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requirements import require_package

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import SCHEMA
from bnnpan_runtime.manifest import parse_manifest

require_package("jsonschema")
import jsonschema  # noqa: E402

GOOD = Bundle.open("bgrn-x4").manifest.to_json()
SCHEMA_TEXT = (files("bnnpan_runtime") / "schema" / f"manifest-{SCHEMA}.json").read_text()
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA_TEXT))

WORDS = [
    "",
    "centred",
    "toolbox",
    "scene",
    "bit_depth",
    "linear",
    "rectified",
    "x" * 128,
    "x" * 129,
    "a\nb",
    "\x7f",
    "é",
]
SHAPES: list[Any] = [None, True, False, [], {}, [1], ["a"], {"a": 1}, "0" * 64, "F" * 64, "0" * 63]


def limits(schema: Any) -> set[float]:
    """Every limit the schema knows, and what lies beside it."""
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    found = {number for item in inner for number in limits(item)}
    if isinstance(schema, (int, float)) and not isinstance(schema, bool):
        found |= {schema - 1, schema, schema + 1}
    return found


NUMBERS = [*sorted(limits(json.loads(SCHEMA_TEXT))), 0.5, 2047.0, 1e300, 2**70]
VALUES = [*WORDS, *SHAPES, *NUMBERS]


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a manifest."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in paths(item, (*path, key)))]


PATHS = [
    path
    for path in paths(GOOD)
    if path and path[0] != "provenance" and path[:2] not in [("files", "fuse.onnx"), ("parity", "native")]
]


def reader_accepts(value: Any) -> bool:
    try:
        parse_manifest(json.dumps(value).encode())
    except ValueError:
        return False
    return True


def beyond_the_schema(value: Any, item: Any) -> bool:
    """What a schema cannot say: fields that hang together, and whole numbers written with a fraction."""
    scale, depth = value["dn_scale"], value["bit_depth"]
    loose = scale != 2**depth - 1 or len(value["band_roles"]) != value["network"]["bands"]
    return loose or (isinstance(item, float) and item.is_integer())


def test_the_schema_is_one_and_fits_the_shipped_bundle():
    jsonschema.Draft202012Validator.check_schema(json.loads(SCHEMA_TEXT))
    assert VALIDATOR.is_valid(GOOD) and reader_accepts(GOOD)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_both_agree_on_every_field_that_may_be_missing(path: tuple[Any, ...]):
    value, parent = changed(path[:-1])
    del parent[path[-1]]
    if isinstance(parent, dict):
        assert reader_accepts(value) is VALIDATOR.is_valid(value)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: ".".join(map(str, path)))
def test_both_agree_on_every_other_value_of_a_field(path: tuple[Any, ...]):
    value, parent = changed(path[:-1])
    for item in VALUES:
        parent[path[-1]] = item
        check_agreement(value, item)


@settings(max_examples=100, deadline=None)
@given(path=st.sampled_from(PATHS), item=st.sampled_from(VALUES), name=st.sampled_from(WORDS))
def test_both_agree_on_a_manifest_with_another_field(path: tuple[Any, ...], item: Any, name: str):
    value, parent = changed(path[:-1])
    if isinstance(parent, dict):
        parent[name] = item
        check_agreement(value, item)


def changed(path: tuple[Any, ...]) -> tuple[dict[str, Any], Any]:
    """A manifest to change, and the part of it at `path`."""
    value = copy.deepcopy(GOOD)
    parent: Any = value
    for key in path:
        parent = parent[key]
    return value, parent


def check_agreement(value: dict[str, Any], item: Any) -> None:
    accepted, valid = reader_accepts(value), VALIDATOR.is_valid(value)
    assert valid or not accepted
    assert accepted or not valid or beyond_the_schema(value, item)


@pytest.mark.parametrize("value", [None, [], "x", 1, {}])
def test_neither_takes_anything_but_an_object(value: Any):
    assert not reader_accepts(value) and not VALIDATOR.is_valid(value)
