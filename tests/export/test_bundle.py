from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bnnpan_export.assemble import Exported, export_bundle
from bnnpan_export.bundle import pack_bundle, write_bundle
from bnnpan_export.freeze import freeze
from bnnpan_export.golden import GOLDEN_CALIBRATION
from bnnpan_export.reference import expected_product
from bnnpan_export.scenes import RawScene
from bnnpan_export.untrained import random_network
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import Manifest, Units
from bnnpan_runtime.errors import OutputError
from bnnpan_runtime.golden import mirrored, run_golden, sampled
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.weights import GOLDEN_SIDE, STORED_SIDE

from .conftest import SMALL, SMALL_IDENTITY


def contents(bundle: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


@pytest.mark.parametrize(("ratio", "units"), [(3, "bit_depth"), (5, "scene"), (6, "scene"), (9, "scene")])
def test_a_bundle_of_any_ratio_reproduces_its_golden_tile(ratio: int, units: Units, tmp_path: Path) -> None:
    """Also where the ratio does not divide it: its last MS pixels reach beyond."""
    network = random_network(replace(SMALL, ratio=ratio, units=units))
    path = tmp_path / "any.bnnpan"
    write_bundle(path, export_bundle(network, SMALL_IDENTITY, ["bits"]).content)
    bundle = Bundle.open(path)
    assert bundle.golden().ms.shape[1:] == (-(-STORED_SIDE // ratio),) * 2
    outcome = run_golden(open_backend("native", bundle), bundle)
    assert outcome.passed and "0.00% by over" in outcome.detail, outcome.detail


def test_manifest_lists_the_true_size_and_hash_of_every_file(small_export: Exported) -> None:
    files = contents(small_export.content)
    manifest = Manifest.from_json(json.loads(files.pop("manifest.json")))
    assert manifest == small_export.manifest
    assert {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()} == {
        name: (entry.size_bytes, entry.sha256) for name, entry in manifest.files.items()
    }


def test_same_content_gives_the_same_bytes_whatever_the_order_and_the_clock(small_export: Exported) -> None:
    files = contents(small_export.content)
    del files["manifest.json"]
    backwards = dict(sorted(files.items(), reverse=True))
    assert pack_bundle(small_export.manifest, backwards) == small_export.content
    with zipfile.ZipFile(io.BytesIO(small_export.content)) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_DEFLATED}
        assert archive.namelist()[0] == "manifest.json"


def test_runtime_reads_back_what_was_frozen(small_export: Exported, tmp_path: Path) -> None:
    path = tmp_path / "small.bnnpan"
    write_bundle(path, small_export.content)
    bundle = Bundle.open(path)
    network = freeze(random_network(SMALL))
    assert bundle.manifest.network == network.shape
    assert bundle.manifest.halo == 2 * SMALL.blocks + 4
    for name, tensor in bundle.weights().items():
        assert np.array_equal(tensor, network[name]), name


def test_golden_tile_is_what_the_network_makes_of_its_own_scene(
    small_export: Exported, tmp_path: Path
) -> None:
    path = tmp_path / "small.bnnpan"
    write_bundle(path, small_export.content)
    golden = Bundle.open(path).golden()
    raw = RawScene(mirrored(golden.pan), mirrored(golden.ms), SMALL.ratio)
    scene = raw.scene("golden", "centred", "bit_depth", 2047)
    assert scene.pan.shape == (1, GOLDEN_SIDE, GOLDEN_SIDE)
    expected = expected_product(random_network(SMALL), scene, GOLDEN_CALIBRATION)
    assert np.array_equal(golden.affines, expected.affines)
    product = np.rint(expected.hrms * 2047).clip(0, 65535).astype(np.uint16)
    assert np.array_equal(golden.hrms, sampled(product))
    assert 0 < golden.hrms.mean() < 1500
    assert golden.hrms.std() > 50


def test_parity_and_memory_of_every_form_are_in_the_manifest(small_export: Exported) -> None:
    manifest = small_export.manifest
    assert {"weights.safetensors", "onnx"} <= set(manifest.parity)
    assert set(manifest.memory) == {"onnx"}
    assert manifest.memory["onnx"].bytes_per_window_pixel >= 4 * SMALL.channels


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        write_bundle(tmp_path / "nowhere" / "small.bnnpan", b"")
    assert not list(tmp_path.iterdir())
