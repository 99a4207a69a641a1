"""A bundle is opened, and what it holds is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from handmade_bundles import NETWORK, bundle_with, files_of_a_bundle, manifest_of, refusal, write_entries

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import (
    GOLDEN_NAME,
    MANIFEST_NAME,
    MODEL_CARD_NAME,
)
from bnnpan_runtime.errors import BundleError


def test_a_good_bundle_gives_its_manifest_weights_and_golden_tile(good_bundle: Path) -> None:
    bundle = Bundle.open(good_bundle)
    assert bundle.manifest.network == NETWORK
    assert bundle.weights()["trunk.bits"].shape == (2, 4, 8, 3, 3, 4)
    assert bundle.golden().hrms.shape == (-(-4 * 128 * 128 // 17),)
    assert bundle.read(MODEL_CARD_NAME) == b"# A network\n"
    assert len(bundle.sha256) == 64


def test_a_manifest_from_before_there_were_units_is_of_the_bit_depth(tmp_path: Path) -> None:
    files = files_of_a_bundle()
    manifest = manifest_of(files)
    del manifest["units"]
    path = write_entries(tmp_path / "old", [(MANIFEST_NAME, json.dumps(manifest).encode()), *files.items()])
    assert Bundle.open(path).manifest.units == "bit_depth"
    path = bundle_with(tmp_path / "scene", files, units="scene")
    assert Bundle.open(path).manifest.units == "scene"


def test_a_file_the_bundle_lacks_is_named(good_bundle: Path) -> None:
    assert "fuse.onnx" in refusal(good_bundle, lambda bundle: bundle.read("fuse.onnx"))


def test_missing_file_names_the_shipped_bundles(tmp_path: Path) -> None:
    assert "no such bundle" in refusal(tmp_path / "absent.bnnpan")


def test_a_folder_with_the_name_of_a_shipped_bundle_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bgrn-x4").mkdir()
    assert Bundle.open("bgrn-x4").manifest.id == "bgrn-x4"


def test_files_the_manifest_does_not_list_are_refused(tmp_path: Path) -> None:
    files = files_of_a_bundle()
    manifest = json.dumps(manifest_of(files)).encode()
    extra = write_entries(
        tmp_path / "extra", [(MANIFEST_NAME, manifest), *files.items(), ("fuse.onnx", b"x")]
    )
    assert "does not list a file that is there: fuse.onnx" in refusal(extra)
    del files[MODEL_CARD_NAME]
    missing = write_entries(tmp_path / "missing", [(MANIFEST_NAME, manifest), *files.items()])
    assert f"lists a file that is missing: {MODEL_CARD_NAME}" in refusal(missing)
    unknown = bundle_with(tmp_path / "unknown", {**files, "setup.py": b"print()"})
    assert "unknown file: setup.py" in refusal(unknown)
    del files[GOLDEN_NAME]
    assert "required" in refusal(bundle_with(tmp_path / "required", files))


def test_a_bundle_that_changes_under_its_reader_is_refused(tmp_path: Path) -> None:
    bundle = Bundle.open(bundle_with(tmp_path / "b", files_of_a_bundle(), rollback_counter=5))
    bundle_with(tmp_path / "b", files_of_a_bundle(), rollback_counter=6)
    with pytest.raises(BundleError, match=r"changed while it was read|damaged"):
        bundle.manifest_bytes()
