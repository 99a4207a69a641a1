from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import GOLDEN_NAME, MANIFEST_NAME, WEIGHTS_NAME
from bnnpan_runtime.doctor import examine
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.golden import golden_tile
from bnnpan_runtime.graph.native import NativeBackend
from bnnpan_runtime.graph.onnx import OnnxBackend
from bnnpan_runtime.graph.protocol import DnTile
from bnnpan_runtime.verify import Check, verify

SHIPPED = "bgrn-x4"


def outcomes(checks: list[Check]) -> dict[str, bool | None]:
    return {check.name: check.passed for check in checks}


def with_tensors(path: Path, name: str, changes: dict[str, np.ndarray]) -> Path:
    """The shipped bundle with other tensors and a manifest that vouches for them."""
    bundle = Bundle.open(SHIPPED)
    files = {
        entry: bundle.read(entry)
        for entry in bundle.manifest.files
        if not entry.endswith((".onnx", ".tflite"))
    }
    files[name] = save({**load(files[name]), **changes})
    manifest = bundle.manifest.to_json() | {"tflite_window": 0}
    manifest["files"] = {
        entry: {"sha256": hashlib.sha256(data).hexdigest(), "size_bytes": len(data)}
        for entry, data in files.items()
    }
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in {MANIFEST_NAME: json.dumps(manifest).encode(), **files}.items():
            archive.writestr(zipfile.ZipInfo(entry), data)
    return path


def test_the_shipped_bundle_passes_every_check_that_can_run_here():
    checks = outcomes(verify(SHIPPED))
    assert False not in checks.values()
    assert checks["golden tile: native"] is True


def test_a_backend_the_bundle_has_no_graph_for_is_skipped_not_passed(tmp_path: Path):
    path = with_tensors(tmp_path / "b", WEIGHTS_NAME, {})
    checks = outcomes(verify(path))
    assert checks["golden tile: native"] is True
    assert checks["golden tile: onnx"] is None and checks["golden tile: tflite"] is None


def test_a_backend_asked_for_by_name_has_to_work(tmp_path: Path):
    path = with_tensors(tmp_path / "b", WEIGHTS_NAME, {})
    assert outcomes(verify(path, "tflite"))["golden tile: tflite"] is False
    assert "golden tile: onnx" not in outcomes(verify(path, "native"))


def test_a_backend_that_opens_and_then_gives_up_has_failed(monkeypatch: pytest.MonkeyPatch):
    def give_up(*arguments: object) -> None:
        raise BackendError("onnx: out of order")

    monkeypatch.setattr(OnnxBackend, "fuse", give_up)
    checks = outcomes(verify(SHIPPED))
    assert checks["golden tile: onnx"] is False and checks["golden tile: native"] is True


@pytest.mark.parametrize("dn", [0.4, 20])
def test_other_weights_fail_the_golden_tile(tmp_path: Path, dn: float):
    bundle = Bundle.open(SHIPPED)
    units = golden_tile(bundle.golden(), bundle.manifest)[0].units
    bias = bundle.weights()["tail.bias"] + np.float32(dn) / np.array(units.ms_scale, np.float32)
    checks = outcomes(verify(with_tensors(tmp_path / "b", WEIGHTS_NAME, {"tail.bias": bias}), "native"))
    assert checks["golden tile: native"] is False


def test_other_affines_fail_the_golden_tile_even_where_the_product_is_right(tmp_path: Path):
    affines = Bundle.open(SHIPPED).golden().affines + np.float32(0.01)
    checks = outcomes(verify(with_tensors(tmp_path / "b", GOLDEN_NAME, {"affines": affines}), "native"))
    assert checks["golden tile: native"] is False


def test_other_weights_of_the_calibration_fail_the_golden_tile(tmp_path: Path):
    bias = Bundle.open(SHIPPED).weights()["cdc.bias"] + np.float32(0.05)
    checks = outcomes(verify(with_tensors(tmp_path / "b", WEIGHTS_NAME, {"cdc.bias": bias}), "native"))
    assert checks["golden tile: native"] is False


@pytest.mark.parametrize(
    ("name", "place", "change"),
    [
        ("head.weight", (5, 2, 1, 1), 0.1),
        ("tail.bias", 2, 0.002),
        ("trunk.shift", (2, 0, 4), 0.5),
        ("trunk.beta", (0, 1, 4), 0.1),
        ("trunk.eta", (2, 0, 4), 0.1),
        ("ldpc.bias", (1, 3), 0.01),
        ("denoiser.out.weight", (1, 3), 0.1),
        ("trunk.bits", (0, 0, 3, 1, 1, 0), 4),  # one sign of one filter
    ],
)
def test_a_single_wrong_number_fails_the_golden_tile(
    tmp_path: Path, name: str, place: tuple[int, ...], change: float
):
    tensor = np.array(Bundle.open(SHIPPED).weights()[name])
    tensor[place] = tensor[place] ^ change if name == "trunk.bits" else tensor[place] + change
    checks = outcomes(verify(with_tensors(tmp_path / "b", WEIGHTS_NAME, {name: tensor}), "native"))
    assert checks["golden tile: native"] is False


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (np.s_[..., 3::8], 1),
        (np.s_[:, 5::16], 2),
        (np.s_[..., -8:], 3),
        (np.s_[1], 1),
        (np.s_[:, :16, :16], 50),
    ],
    ids=["lane", "rows", "right", "band", "corner"],
)
def test_a_part_of_the_product_that_is_wrong_fails_the_golden_tile(
    monkeypatch: pytest.MonkeyPatch, place: Any, change: int
):
    right = NativeBackend.fuse_tile

    def wrong(self: NativeBackend, tile: DnTile, *arguments: Any) -> None:
        right(self, tile, *arguments)
        tile.product[place] += np.uint16(change)

    monkeypatch.setattr(NativeBackend, "fuse_tile", wrong)
    assert outcomes(verify(SHIPPED, "native"))["golden tile: native"] is False


def test_tensors_of_a_wrong_shape_fail_before_anything_runs(tmp_path: Path):
    checks = outcomes(verify(with_tensors(tmp_path / "b", GOLDEN_NAME, {"pan": np.zeros((1, 1), np.uint16)})))
    assert checks["tensors: golden tile"] is False
    assert not any(name.startswith("golden tile") for name in checks)


@pytest.mark.parametrize("entry", [MANIFEST_NAME, WEIGHTS_NAME])
def test_a_flipped_byte_fails_a_check_that_names_the_file(tmp_path: Path, entry: str):
    bundle = Bundle.open(SHIPPED)
    content = bytearray(bundle.path.read_bytes())
    content[bundle.entries[entry].offset + 100] ^= 4
    (path := tmp_path / "b").write_bytes(content)
    failed = [check for check in verify(path) if check.passed is False]
    assert failed and all(entry in check.detail for check in failed)


def test_a_file_that_is_no_bundle_fails_at_the_container(tmp_path: Path):
    (path := tmp_path / "b").write_bytes(b"no bundle at all, but long enough")
    assert outcomes(verify(path)) == {"container": False, "manifest": False}


def test_the_doctor_knows_board_libraries_and_backends():
    report = examine()
    assert report.healthy
    assert report.board["cores"] >= 1 and report.native["instruction_sets"][-1] == "portable"
    assert report.backends["native"].startswith("passed")
    assert json.loads(json.dumps(report.to_json()))["software"]["numpy"] == np.__version__
