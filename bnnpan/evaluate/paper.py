"""The rows of the BNNPan paper, to stand beside scores of the same PanCollection sensor."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from bnnpan.evaluate.scores import Values

__all__ = ["PaperTable", "paper_tables"]

_CITATION = "Hou et al., Binarized Neural Network for Multi-spectral Image Fusion, CVPR 2025"
_TITLES = {"wv3": "Table 1, WorldView-3", "gf2": "Table 2, GaoFen-2", "qb": "Table 2, QuickBird"}
_CONDITIONS = "Mean and deviation over 20 test images, as printed; PSNR is the mean over bands."
_OTHER_IMAGES = (
    " The full-resolution WorldView-3 images are those of the toolbox's .mat files; the .h5 file is"
    " reported to share only six of them."
)


@dataclass(frozen=True)
class PaperTable:
    """One sensor's rows: method -> metric -> value, means and deviations."""

    title: str
    note: str
    mean: dict[str, dict[str, float]]
    std: dict[str, dict[str, float]]
    binary: frozenset[str]
    """Methods with 1-bit weights and activations."""

    def labelled(self, values: Values) -> Values:
        """Rows whose names tell binary networks from others."""
        return {f"{name} (1 bit)" if name in self.binary else name: row for name, row in values.items()}


def paper_tables(data: Iterable[Path]) -> list[PaperTable]:
    """Tables of the sensors that PanCollection files name (`test_wv3_multiExm1.h5`); none for other data."""
    stems = [path.stem.lower() for path in data if path.suffix == ".h5"]
    return [_table(sensor) for sensor in _TITLES if any(sensor in stem for stem in stems)]


def _table(sensor: str) -> PaperTable:
    text = files("bnnpan.evaluate").joinpath("paper.csv").read_text(encoding="utf-8")
    rows = [row for row in csv.DictReader(text.splitlines()) if row["sensor"] == sensor]
    metrics = [name for name in rows[0] if f"{name}_std" in rows[0]]
    return PaperTable(
        title=f"{_CITATION}, {_TITLES[sensor]}",
        note=_CONDITIONS + (_OTHER_IMAGES if sensor == "wv3" else ""),
        mean={row["method"]: {name: float(row[name]) for name in metrics} for row in rows},
        std={row["method"]: {name: float(row[f"{name}_std"]) for name in metrics} for row in rows},
        binary=frozenset(row["method"] for row in rows if row["category"] == "binary"),
    )
