"""A misplaced scene is fused like a well-placed one, and the run says what it did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner
from rasterio.transform import Affine
from raw_scenes import read_raster, write_raster
from shifted_scenes import CLOSE, PAN_SIDE

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.cli import main as cli
from bnnpan_runtime.registration import Shift
from bnnpan_runtime.run import fuse
from bnnpan_runtime.synth import write as synth
from bnnpan_runtime.synth.capture import Scene as SyntheticScene


@pytest.fixture(scope="module")
def truth_scene(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("truth")
    return synth.write_scene(folder, SyntheticScene(2, 4, 4, 11), PAN_SIDE, PAN_SIDE)


def misplaced(scene: dict[str, Path], folder: Path, shift: tuple[float, float]) -> Path:
    """A copy of MS whose georeferencing puts it `shift` PAN pixels too far down and right."""
    with rasterio.open(scene["ms.tif"]) as ms:
        profile, image = ms.profile, ms.read()
    profile["transform"] @= Affine.translation(shift[1] / 4, shift[0] / 4)
    path = folder / "misplaced.tif"
    write_raster(path, image, **{k: profile[k] for k in ("crs", "transform")})
    return path


def ergas(product: Path, truth: Path) -> float:
    inner = np.s_[:, 16:-16, 16:-16]
    image, reference = (read_raster(path)[inner].astype(float) for path in (product, truth))
    mse, mean = ((image - reference) ** 2).mean(axis=(1, 2)), reference.mean(axis=(1, 2))
    return float(100 / 4 * np.sqrt(np.mean(mse / mean**2)))


@pytest.mark.parametrize("backend", ["auto", "classical"])
def test_a_misplaced_scene_is_fused_like_a_well_placed_one(
    truth_scene: dict[str, Path], tmp_path: Path, bundle: Bundle, backend: str
) -> None:
    pan, truth = truth_scene["pan.tif"], truth_scene["truth.tif"]
    ms = misplaced(truth_scene, tmp_path, (0.7, -0.9))
    scores = {}
    for name, source, register in (
        ("placed", truth_scene["ms.tif"], "off"),
        ("corrected", ms, "auto"),
        ("not corrected", ms, "off"),
    ):
        out = tmp_path / f"{name}.tif"
        report = fuse(pan, source, bundle, out, memory="4GiB", backend=backend, register=register)
        scores[name] = ergas(out, truth)
        assert report.shift.outcome == ("applied" if register == "auto" else "off")
    assert scores["corrected"] < 1.02 * scores["placed"]
    assert scores["not corrected"] > 1.08 * scores["placed"]


def test_the_shift_is_the_same_for_all_tilings_and_is_told(
    truth_scene: dict[str, Path], tmp_path: Path, bundle: Bundle
) -> None:
    ms = misplaced(truth_scene, tmp_path, (0.7, -0.9))
    products, shifts = [], []
    for name, options in (("one", {"tile": 512}), ("many", {"tile": 96, "threads": 2})):
        out = tmp_path / f"{name}.tif"
        report = fuse(truth_scene["pan.tif"], ms, bundle, out, memory="4GiB", **options)
        products.append(out.read_bytes())
        shifts.append(report.shift)
    assert products[0] == products[1]
    assert shifts[0] == shifts[1]
    told = report.to_json()["shift"]
    assert (told["row"], told["col"]) == pytest.approx((0.7, -0.9), abs=CLOSE)
    with rasterio.open(out) as product:
        of_product = Shift.of_tag(product.tags()["BNNPAN_SHIFT"])
    assert (of_product.applied_row, of_product.applied_col) == (told["applied_row"], told["applied_col"])
    # The same shift given is the same product, but for the tag.
    given = tmp_path / "given.tif"
    shift = (told["applied_row"], told["applied_col"])
    fuse(truth_scene["pan.tif"], ms, bundle, given, memory="4GiB", register=shift)
    assert np.array_equal(read_raster(given), read_raster(out))


def test_a_well_placed_scene_has_the_same_product_with_and_without(
    truth_scene: dict[str, Path], tmp_path: Path, bundle: Bundle
) -> None:
    pan, ms = truth_scene["pan.tif"], truth_scene["ms.tif"]
    products = []
    for register in ("auto", "off"):
        out = tmp_path / f"{register}.tif"
        fuse(pan, ms, bundle, out, memory="4GiB", backend="classical", register=register)
        products.append(out.read_bytes())
    assert products[0] == products[1]


@pytest.mark.parametrize(
    ("value", "message"), [("30", "DX,DY"), ("1,x", "DX,DY"), ("30,-1", "at most 8"), ("nan,0", "at most 8")]
)
def test_an_impossible_shift_is_refused_in_one_line(
    truth_scene: dict[str, Path], tmp_path: Path, value: str, message: str
) -> None:
    scene = ["--pan", str(truth_scene["pan.tif"]), "--ms", str(truth_scene["ms.tif"])]
    out = ["--out", str(tmp_path / "out.tif"), "--memory", "4GiB"]
    result = CliRunner().invoke(cli, ["fuse", *scene, *out, "--register", value])
    assert result.exit_code != 0
    assert message in result.output + str(result.exception)
    assert not (tmp_path / "out.tif").exists()
