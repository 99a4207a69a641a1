"""The classical method on board against plain interpolation and the network: a table as in docs/classical.md.

    python tests/bench/classical.py --data DATA --work build/classical

Validation pairs at reduced resolution, true pixel centres, and a synthetic scene; each written as GeoTIFF and
fused by `bnnpan fuse`, scored by `bnnpan quality --truth`, where no NoData is within reach of the filters.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine

from bnnpan.data.pairs import BGRN, Pair, load_pairs
from bnnpan.data.source import manifest_path

SIX_BANDS = (*BGRN, "swir1", "swir2")
PAIRS = (
    ("sn6_rotterdam_3", BGRN, 4),
    ("l7_p090r083_07", SIX_BANDS, 2),
    ("l7_p090r083_08", SIX_BANDS, 2),
)
BITS = 11
ORIGIN = (600000.0, 5000000.0)


def main() -> None:
    """Print a row per scene."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for scenes and products")
    options = parser.parse_args()
    print("| scene | plain interpolation | MTF-GLP-FS | `bgrn-x4` |\n|---|---:|---:|---:|")
    for name, bands, ratio in PAIRS:
        manifest = manifest_path(options.data)
        (pair,) = load_pairs(manifest, "val", bands, ratio, names=[name])
        print(row(name, write_pair(options.work / name, pair), len(bands) == len(BGRN)), flush=True)
    made = options.work / "synth"
    bnnpan("scene", "synth", "--size", 1024, "--out", made, "--overwrite")
    print(row("`bnnpan scene synth --size 1024`", made, True))


def write_pair(folder: Path, pair: Pair) -> Path:
    """PAN, MS and truth as 16-bit GeoTIFF; the truth is NoData where filters reach into NoData."""
    folder.mkdir(parents=True, exist_ok=True)
    truth = np.where(pair.valid, pair.gt, 0)
    grid = Affine(1, 0, ORIGIN[0], 0, -1, ORIGIN[1])
    for name, image, scale in (("pan", pair.pan, 1), ("ms", pair.ms, pair.ratio), ("truth", truth, 1)):
        bands, height, width = image.shape
        profile = {"count": bands, "height": height, "width": width, "dtype": "uint16", "nodata": 0}
        place = {"crs": "EPSG:32631", "transform": grid @ Affine.scale(scale)}
        with rasterio.open(folder / f"{name}.tif", "w", driver="GTiff", **profile, **place) as raster:
            raster.write(np.rint(np.clip(image, 0, 65535)).astype(np.uint16))
    return folder


def row(name: str, scene: Path, network: bool) -> str:
    """ERGAS and SAM of plain interpolation, the classical method and, if it takes the bands, the network."""
    pan, ms, product = scene / "pan.tif", scene / "ms.tif", scene / "product.tif"
    source = ("--pan", pan, "--ms", ms)
    found: list[dict[str, Any]] = []
    for backend in ("classical", "native") if network else ("classical",):
        fuse = ("fuse", *source, "--out", product, "--overwrite", "--memory", "1GiB", "--backend", backend)
        bnnpan(*fuse, "--register", "off", "--bit-depth", BITS)
        quality = ("quality", *source, "--fused", product, "--truth", scene / "truth.tif")
        found.append(json.loads(bnnpan(*quality, "--bit-depth", BITS, "--json")))
    cells = [found[0]["truth"]["interpolated"], *(scores["truth"]["fused"] for scores in found)]
    text = [f"{cell['ERGAS']:.2f} / {cell['SAM']:.2f}" for cell in cells]
    return f"| {name} | {' | '.join(text)} |" + ("" if network else " |")


def bnnpan(*arguments: Any) -> str:
    """Run the command; its standard output."""
    command = [sys.executable, "-m", "bnnpan_runtime", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
