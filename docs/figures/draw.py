"""Draw the figures of the documentation from what the programs of this tree do.

    python docs/figures/draw.py            needs bnnpan-runtime and matplotlib

The plans are those of `bnnpan plan`, the differences those of the native engine; the trunk is a drawing.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import matplotlib
import numpy as np
import rasterio
from rasterio.transform import Affine

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.golden import golden_tile
from bnnpan_runtime.graph import open_backend
from bnnpan_runtime.tile_engine import float_images

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "bnnpan", "svg.fonttype": "none", "font.family": "sans-serif"})

import matplotlib.pyplot as plt  # noqa: E402  # after the backend is chosen
from matplotlib.axes import Axes  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

HERE = Path(__file__).resolve().parent
RATIO = 4
SIDES = (1024, 4096, 16384)
MIB = 2**20


def main() -> None:
    """Write every figure beside this file."""
    save(budget({side: plan_of_an_empty_scene(side) for side in SIDES}), "budget")
    save(halo(*differences_by_halo()), "halo")
    save(trunk(), "trunk")


def save(figure: Figure, name: str) -> None:
    """Write an SVG that depends on its content alone."""
    figure.savefig(HERE / f"{name}.svg", metadata={"Date": None}, facecolor="white", bbox_inches="tight")
    plt.close(figure)


def plan_of_an_empty_scene(side: int) -> dict[str, int]:
    """Terms of `bnnpan plan` within 128 MiB, in bytes."""
    with tempfile.TemporaryDirectory() as folder:
        for name, bands, scale in (("pan", 1, 1), ("ms", 4, RATIO)):
            size = {"count": bands, "height": side // scale, "width": side // scale, "dtype": "uint16"}
            place = {"crs": "EPSG:32631", "transform": Affine(scale, 0, 600000, 0, -scale, 5000000)}
            layout = {"tiled": True, "sparse_ok": True}
            rasterio.open(Path(folder, f"{name}.tif"), "w", driver="GTiff", **size, **place, **layout).close()
        files = ("--pan", f"{folder}/pan.tif", "--ms", f"{folder}/ms.tif", "--register", "off")
        command = [sys.executable, "-m", "bnnpan_runtime", "plan", *files, "--memory", "128MiB", "--json"]
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    terms: dict[str, int] = json.loads(found)["terms"]
    return terms


def budget(plans: Mapping[int, Mapping[str, int]]) -> Figure:
    """What the budget is spent on, by size of the scene."""
    figure, axes = plt.subplots(figsize=(8, 2.4))
    names = sorted(
        {name for terms in plans.values() for name, size in terms.items() if size},
        key=lambda name: -plans[1024].get(name, 0),
    )
    colours = plt.get_cmap("tab20")(range(len(names)))
    places = range(len(plans))
    begun = np.zeros(len(plans))
    for name, colour in zip(names, colours, strict=True):
        widths = np.array([terms.get(name, 0) for terms in plans.values()]) / MIB
        axes.barh(places, widths, left=begun, color=colour, label=name.replace("_", " "))
        begun += widths
    axes.axvline(128, color="black", linestyle="--", linewidth=1)
    axes.set_yticks(places, [f"{side} x {side}" for side in plans])
    axes.set_xlim(0, 132)
    axes.set_xlabel("MiB of the process, as planned within a budget of 128 MiB (dashed)")
    axes.invert_yaxis()
    _bare(axes)
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.3), frameon=False, fontsize=8)
    return figure


def differences_by_halo() -> tuple[list[int], list[float]]:
    """Halos, and the share of the inner half's values that differ from those of the whole window."""
    bundle = Bundle.open("bgrn-x4")
    engine, golden = open_backend("native", bundle), bundle.golden()
    pan, lms = float_images(*golden_tile(golden, bundle.manifest))
    pan, lms = (np.ascontiguousarray(image) for image in (pan, lms))

    def fused(start: int, stop: int) -> np.ndarray:
        window = np.s_[:, start:stop, start:stop]
        images = [np.ascontiguousarray(image[window]) for image in (pan, lms)]
        arena = np.empty(engine.memory(stop - start, stop - start).arena_bytes, np.uint8)
        engine.fuse(images[0], images[1], golden.affines, out := np.empty_like(images[1]), arena)
        return out

    side = pan.shape[-1]
    first, last = side // 4, side - side // 4
    whole = fused(0, side)[:, first:last, first:last]
    halos = list(range(0, bundle.manifest.halo + 5, 2))
    cores = [
        fused(first - halo, last + halo)[:, halo : halo + last - first, halo : halo + last - first]
        for halo in halos
    ]
    return halos, [float(np.mean(core != whole)) for core in cores]


def halo(halos: list[int], shares: list[float]) -> Figure:
    """How much of a tile is another than without tiles, by the halo that is computed around it."""
    figure, axes = plt.subplots(figsize=(8, 2.6))
    axes.bar(halos, [100 * share for share in shares], width=1.4, color="#c0504d")
    for place, share in zip(halos, shares, strict=True):
        axes.annotate(
            f"{share:.2%}" if share else "0", (place, 100 * share), ha="center", va="bottom", fontsize=8
        )
    axes.set_xticks(halos)
    axes.set_xlabel("halo, PAN pixels")
    axes.set_ylabel("values that differ, %")
    _bare(axes)
    return figure


def trunk() -> Figure:
    """The network as it is trained and as it flies."""
    figure, axes = plt.subplots(figsize=(9, 4.2))
    axes.set(xlim=(0, 100), ylim=(0, 46))
    axes.axis("off")
    axes.text(0, 44, "as trained: each block goes to sub-bands and back", fontsize=10)
    places = (2, 16, 30, 44, 58, 72, 86)
    labels = (
        "head\n3x3",
        "Haar",
        "LL LH HL HH\n1-bit units",
        "inverse\nHaar",
        "affine of\nthe scene",
        "N - 1\nmore blocks",
        "tail\n3x3",
    )
    for place, label in zip(places, labels, strict=True):
        _box(axes, place, 34, label, "1-bit" in label)
    for left, right in pairwise(places):
        _arrow(axes, left + 10, 37, right, 37)
    axes.text(
        0, 27, "as it flies: the affines move inside, and the transforms between blocks cancel", fontsize=10
    )
    for place, label in ((2, "head\n3x3"), (16, "Haar"), (76, "inverse\nHaar"), (90, "tail\n3x3")):
        _box(axes, place, 10, label, False)
    _arrow(axes, 12, 13, 16, 13)
    _arrow(axes, 86, 13, 90, 13)
    for row, band in enumerate(("LL", "LH", "HL", "HH")):
        height = 20 - 6 * row
        _arrow(axes, 26, 13, 34, height + 2)
        for block, place in enumerate((34, 47, 60)):
            label = f"{band} {('1', '2', '... N')[block]}"
            _box(axes, place, height, label, True, 4)
            if block:
                _arrow(axes, place - 3, height + 2, place, height + 2)
        _arrow(axes, 70, height + 2, 76, 13)
    return figure


def _box(axes: Axes, left: float, bottom: float, label: str, binary: bool, height: float = 6) -> None:
    colour = "#dbe9d5" if binary else "#dce6f2"
    axes.add_patch(
        plt.Rectangle((left, bottom), 10, height, facecolor=colour, edgecolor="#444444", linewidth=0.8)
    )
    axes.text(left + 5, bottom + height / 2, label, ha="center", va="center", fontsize=7.5)


def _arrow(axes: Axes, left: float, bottom: float, right: float, top: float) -> None:
    line = {
        "arrowstyle": "-|>",
        "color": "#444444",
        "linewidth": 0.8,
        "mutation_scale": 7,
        "shrinkA": 0,
        "shrinkB": 0,
    }
    axes.annotate("", (right, top), (left, bottom), arrowprops=line)


def _bare(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


if __name__ == "__main__":
    main()
