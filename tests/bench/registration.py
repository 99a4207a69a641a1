"""What a shift between PAN and MS costs, and what correcting it gives back: docs/registration.md.

    python tests/bench/registration.py --work build/registration [--seeds 1 2]

Synthetic scenes whose georeferencing is wrong by a known shift, fused without and with registration; ERGAS
against the truth, without a margin of 32 pixels.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine

from bnnpan_runtime import fuse
from bnnpan_runtime.scores import Agreement

SHIFTS = ((0, 0), (0.125, 0.125), (0.25, -0.25), (0.5, 0.5), (-1, 1.3), (2.2, -3.1))
"""PAN pixels, rows and columns, that MS shows things below and right of their place."""
RATIO = 4
MARGIN = 32
BACKENDS = ("native", "classical")


def main() -> None:
    """Print a row per shift and seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="folder for scenes and products")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--size", type=int, default=1024)
    options = parser.parse_args()
    print("| true shift | seed | found | `bgrn-x4` off / auto | MTF-GLP-FS off / auto |")
    print("|---|---|---|---:|---:|")
    for seed in options.seeds:
        scene = options.work / f"seed{seed}"
        command = ["scene", "synth", "--size", str(options.size), "--seed", str(seed), "--out", str(scene)]
        run = [sys.executable, "-m", "bnnpan_runtime", *command, "--overwrite"]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
        for shift in SHIFTS:
            print(row(scene, seed, shift), flush=True)


def row(scene: Path, seed: int, shift: tuple[float, float]) -> str:
    """One row: what was found, and ERGAS by backend without and with the correction."""
    ms = misplaced(scene / "ms.tif", shift)
    cells = []
    for backend in BACKENDS:
        errors = []
        for register in ("off", "auto"):
            product = scene / "product.tif"
            report = fuse(
                scene / "pan.tif",
                ms,
                "bgrn-x4",
                product,
                memory="4GiB",
                backend=backend,
                register=register,
                overwrite=True,
            )
            errors.append(f"{ergas(product, scene / 'truth.tif'):.3f}")
        cells.append(" / ".join(errors))
    found = f"{report.shift.row:+.2f}, {report.shift.col:+.2f}"
    return f"| {shift[0]:g}, {shift[1]:g} | {seed} | {found} | {cells[0]} | {cells[1]} |"


def misplaced(ms: Path, shift: tuple[float, float]) -> Path:
    """A copy of MS whose georeferencing puts it `shift` PAN pixels too far down and right."""
    path = ms.with_name("misplaced.tif")
    shutil.copyfile(ms, path)
    with rasterio.open(path, "r+") as raster:
        raster.transform = raster.transform @ Affine.translation(shift[1] / RATIO, shift[0] / RATIO)
    return path


def ergas(product: Path, truth: Path) -> float:
    """ERGAS of a product without its margin."""
    inner = np.s_[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    with rasterio.open(product) as image, rasterio.open(truth) as reference:
        agreement = Agreement(reference.count)
        agreement.add(*(raster.read()[inner].reshape(raster.count, -1) for raster in (image, reference)))
    found = agreement.scores(RATIO, 1).ergas
    assert found is not None
    return found


if __name__ == "__main__":
    main()
