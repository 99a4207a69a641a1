"""The whole chain through the command line: data -> training -> bundle -> checks -> plan -> product."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import rasterio
from signing_keys import Key, signed_copy
from synthetic_data import write_manifest

from bnnpan_runtime.bundle import Bundle

CONFIG = """
[model]
channels = 16
blocks = 2
latent = 8

[training]
checkpoint_every = 20
stage_one = { steps = 30, batch = 2 }
stage_two = { steps = 10, batch = 2 }
stage_three = { steps = 10, batch = 2 }
"""


@dataclass(frozen=True)
class Material:
    """What one run of the chain starts from."""

    manifest: Path
    pan: Path
    ms: Path
    formats: str


def bnnpan(*arguments: object, cwd: Path) -> str:
    command = [sys.executable, "-m", "bnnpan_runtime", *map(str, arguments)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(params=["synthetic", "sn6_rotterdam_3"])
def material(request: pytest.FixtureRequest, tmp_path: Path) -> Material:
    if request.param == "synthetic":
        bnnpan("scene", "synth", "--size", 512, "--out", tmp_path / "scene", cwd=tmp_path)
        folder = tmp_path / "scene"
        return Material(write_manifest(folder), folder / "pan.tif", folder / "ms.tif", "onnx,bits")
    shared: Path = request.getfixturevalue("shared_data")
    pan, ms = (shared / f"sn6_rotterdam_3_{kind}.tif" for kind in ("pan", "ms"))
    return Material(shared / "manifest.json", pan, ms, "onnx,tflite,bits")


def test_train_export_verify_plan_fuse(material: Material, tmp_path: Path):
    (tmp_path / "experiment.toml").write_text(CONFIG)
    run, bundle, product = tmp_path / "run", tmp_path / "tiny.bnnpan", tmp_path / "product.tif"
    scene = ("--pan", material.pan, "--ms", material.ms)

    data = ("--data", material.manifest)
    bnnpan("train", "--config", "experiment.toml", *data, "--out", run, cwd=tmp_path)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines if line["step"] == line["steps"]] == ["I", "II", "III"]

    scores = tmp_path / "scores.json"
    bnnpan("evaluate", run, *data, "--json", scores, cwd=tmp_path)
    assert {"bnnpan", "EXP"} <= set(json.loads(scores.read_text())["mean"])

    bnnpan("export", run, "--out", bundle, "--formats", material.formats, cwd=tmp_path)
    ground, ring = Key.number(1), tmp_path / "trust.toml"
    ring.write_text(ground.on_ring())
    signed_copy(Bundle.open(bundle), bundle, ground)
    trust = ("--trust", ring)
    verify = ("verify", bundle, "--backend", "all", *trust, "--json")
    checks = json.loads(bnnpan(*verify, cwd=tmp_path))["checks"]
    assert all(check["passed"] for check in checks if check["passed"] is not None)
    manifest = json.loads(bnnpan("inspect", bundle, "--json", cwd=tmp_path))
    assert manifest["halo"] == 8

    budget = ("--memory", "160MiB")
    plan = json.loads(bnnpan("plan", "--bundle", bundle, *trust, *scene, *budget, "--json", cwd=tmp_path))
    assert plan["predicted_peak_bytes"] == sum(plan["terms"].values()) <= 160 * 2**20

    fuse = ("fuse", "--bundle", bundle, *trust, *scene, "--out", product, *budget, "--json")
    report = json.loads(bnnpan(*fuse, cwd=tmp_path))
    assert report["backend"] == "native" and report["signer_key_id"] == ground.id
    assert report["measured_peak_bytes"] <= report["predicted_peak_bytes"] <= report["budget_bytes"]
    with (
        rasterio.open(product) as fused,
        rasterio.open(material.pan) as pan,
        rasterio.open(material.ms) as ms,
    ):
        assert (fused.shape, fused.count, fused.dtypes) == (pan.shape, ms.count, ms.dtypes)
        assert (fused.crs, fused.transform) == (pan.crs, pan.transform)
        assert np.ptp(fused.read()) > 0
