"""One fuse.onnx on every ONNX Runtime that is declared, from the oldest on, each in its own environment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from requirements import missing

from bnnpan_export.freeze import freeze
from bnnpan_export.onnx_graph import fuse_graph, serialised
from bnnpan_export.untrained import random_network
from bnnpan_runtime.graph.libbnnpan import library_path

from .conftest import VARIANTS, images

pytestmark = pytest.mark.slow

ENVIRONMENTS = "BNNPAN_ORT_ENVIRONMENTS"
"""Folder where environments are kept, so that they are made once."""

BETWEEN = ("1.20.1", "1.24.4")
PROGRAM = """
import sys
import numpy as np
import onnxruntime as ort
graph, inputs, outputs, library = sys.argv[1:]
options = ort.SessionOptions()
if library:
    options.register_custom_ops_library(library)
session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
found = {}
for key, feed in np.load(inputs, allow_pickle=True).items():
    found[key] = session.run(["hrms"], feed.item())[0]
found["version"] = np.array(ort.__version__)
found["id"] = np.array(session.get_modelmeta().custom_metadata_map["id"])
np.savez(outputs, **found)
"""


def declared(repo_root: Path) -> str:
    """The oldest release that the runtime says it works with."""
    project = tomllib.loads((repo_root / "runtime" / "pyproject.toml").read_text())["project"]
    (line,) = (entry for entry in project["dependencies"] if entry.startswith("onnxruntime"))
    (version,) = re.findall(r">=([\d.]+)$", line)
    return f"{version}.0"


@pytest.fixture(params=["oldest", *BETWEEN, "newest"])
def python(request: pytest.FixtureRequest, repo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with that ONNX Runtime and a numpy of its time."""
    version = declared(repo_root) if request.param == "oldest" else request.param
    kept = os.environ.get(ENVIRONMENTS)
    folder = (Path(kept) if kept else tmp_path_factory.mktemp("environments")) / f"ort-{version}"
    interpreter = folder / "bin" / "python"
    if not interpreter.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        wanted = "onnxruntime" if version == "newest" else f"onnxruntime=={version}"
        old = version.startswith(("1.17", "1.18", "1.20"))
        pip = [str(interpreter), "-m", "pip", "install", "--quiet", wanted, "numpy<2" if old else "numpy"]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            missing("packages", f"pip cannot install {wanted}: {done.stderr.strip().splitlines()[-1]}")
    return interpreter


@pytest.mark.parametrize("kernels", [False, True], ids=["stock", "kernels"])
@pytest.mark.parametrize("variant", ["outer_skip", "two_words", "eight_bands"])
def test_the_same_file_gives_the_product_of_the_network(
    variant: str, kernels: bool, python: Path, tmp_path: Path
) -> None:
    config = VARIANTS[variant]
    model = random_network(config)
    graph, inputs, outputs = tmp_path / "fuse.onnx", tmp_path / "inputs.npz", tmp_path / "outputs.npz"
    graph.write_bytes(serialised(fuse_graph(freeze(model), {"id": variant})))
    with torch.no_grad():
        affines = model.calibrate(*map(torch.from_numpy, images(config.bands, 16, 16, count=4)))
    feeds, expected = {}, {}
    for height, width in ((64, 64), (38, 90), (2, 2)):
        pan, lms = images(config.bands, height, width)
        key = f"{height}x{width}"
        feeds[key] = np.array({"pan": pan, "lms": lms, "affines": affines.numpy()})
        with torch.no_grad():
            expected[key] = model.fuse(torch.from_numpy(pan), torch.from_numpy(lms), affines).numpy()
    np.savez(inputs, **feeds)
    library = str(library_path()) if kernels else ""
    command = [str(python), "-c", PROGRAM, str(graph), str(inputs), str(outputs), library]
    alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, env=alone, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(outputs) as found:
        assert str(found["id"]) == variant
        for key, product in expected.items():
            apart = np.abs(found[key] - product)
            assert np.median(apart) < 1e-6 and np.mean(apart > 1e-4) < 2e-3, (str(found["version"]), key)
