"""Fixtures of the runtime's tests: the shipped bundle, and raw scenes where a test wants them."""

from __future__ import annotations

import os
import sys
import zipfile
from functools import partial
from pathlib import Path

import pytest
from handmade_bundles import good_entries, write_entries
from raw_scenes import SceneWriter, write_raw_scene
from unit_bundles import in_units

from bnnpan_runtime.bundle import Bundle


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    return Bundle.open("bgrn-x4")


@pytest.fixture(scope="session")
def depth_bundle(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The shipped bundle as if fed DN over the bit depth."""
    return in_units(bundle, "bit_depth", tmp_path_factory.mktemp("units") / "depth.bnnpan")


@pytest.fixture(scope="session")
def scene_bundle(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The shipped bundle as if fed scene units."""
    return in_units(bundle, "scene", tmp_path_factory.mktemp("units") / "scene.bnnpan")


@pytest.fixture(params=[zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def good_bundle(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file that is a bundle, put together by hand."""
    return write_entries(tmp_path / "good.bnnpan", good_entries(), request.param)


@pytest.fixture(scope="session")
def fuse_graph(bundle: Bundle) -> bytes:
    """The shipped network as the exporter writes it for LiteRT."""
    return bundle.read("fuse.tflite")


@pytest.fixture
def write_scene(tmp_path: Path) -> SceneWriter:
    """`write_raw_scene` into the test's own folder."""
    return partial(write_raw_scene, tmp_path)


@pytest.fixture
def subprocess_environment() -> dict[str, str]:
    """For a clean interpreter: what this one can import, one thread per library."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
