"""The HTML of `bnnpan evaluate`: one file, the same every time, whose pictures show what they say."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from rasterio.io import MemoryFile
from tiny_training import write_imagery, write_items

from bnnpan.evaluate.gallery import Gallery
from bnnpan.evaluate.pictures import (
    GRADIENT,
    colours,
    error_map,
    limits,
    most_detailed,
    picture,
    spectral_angles,
)
from bnnpan.evaluate.scene import Scene
from bnnpan_runtime.cli import main

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture
def html(tmp_path: Path) -> str:
    items = [write_imagery(tmp_path, name) | {"split": "val"} for name in ("one", "two")]
    manifest = write_items(tmp_path, items)
    pages = []
    for _ in range(2):
        path = tmp_path / "page.html"
        arguments = ["--data", manifest, "--baselines", "GS,SFIM", "--resolution", "both", "--html", path]
        result = CliRunner().invoke(main, ["evaluate", *map(str, arguments)])
        assert result.exit_code == 0, result.output
        pages.append(path.read_bytes())
    assert pages[0] == pages[1]
    return pages[0].decode()


def test_page_is_one_file_with_all_tables_and_pictures(html: str) -> None:
    assert not re.search(r'(src|href)="(?!data:)', html) and "http" not in html and "<script" not in html
    titles = re.findall(r"<h2>(.*?)(?: <small>.*)?</h2>", html)
    expected = ["2 pairs: mean ± standard deviation", "one", "two"]
    expected += [
        f"{name}, {resolution} resolution" for resolution in ("reduced", "full") for name in ("one", "two")
    ]
    assert titles == expected
    # Reduced: PAN, LMS, truth, two methods; false colour without PAN; two error maps of LMS and methods.
    assert html.count("<img") == 2 * ((5 + 4 + 3 + 3) + (4 + 3))
    assert html.count("<svg") == 4 * 4
    assert "bnnpan evaluate --data" in html and "--baselines GS,SFIM" in html
    assert "reduced resolution: LMS of phase toolbox, MS pixel k at PAN 4 k + 2" in html
    for mark in ("best", "second"):
        assert html.count(f'class="{mark}"') >= 3 * 10


def test_pictures_are_what_they_show() -> None:
    image = np.random.default_rng(0).integers(0, 256, (3, 5, 7), np.uint8)
    kind, content = picture(image).split(",")
    assert kind == "data:image/png;base64"
    with MemoryFile(base64.b64decode(content)) as memory, memory.open() as dataset:
        np.testing.assert_array_equal(dataset.read(), image)


def test_stretch_leaves_a_share_of_the_valid_pixels_at_either_end_and_nodata_grey() -> None:
    image = np.arange(1000.0).reshape(1, 20, 50)
    valid = np.ones((20, 50), bool)
    valid[0] = False
    shown = colours(image, (0, 0, 0), limits(image, valid), valid)
    assert (shown[:, 0] == 160).all()
    assert (shown[0][valid] == 0).mean() == pytest.approx(0.02, abs=0.003)
    assert (shown[0][valid] == 255).mean() == pytest.approx(0.02, abs=0.003)


def test_errors_have_the_colours_of_the_legend() -> None:
    errors = np.array([[0.0, 4.0, 8.0, 99.0, np.nan]])
    found = ["#" + "".join(f"{level:02x}" for level in pixel) for pixel in error_map(errors, 8.0)[:, 0].T]
    assert found == [GRADIENT[0], GRADIENT[4], GRADIENT[8], GRADIENT[8], "#a0a0a0"]


def test_spectral_angle_of_known_spectra() -> None:
    truth = np.array([[[1.0, 1.0, 0.0]], [[0.0, 1.0, 0.0]]])
    image = np.array([[[0.0, 3.0, 1.0]], [[2.0, 3.0, 1.0]]])
    np.testing.assert_allclose(spectral_angles(truth, image), [[90, 0, np.nan]], atol=1e-5)


def test_crop_is_where_detail_is_and_data() -> None:
    pan = np.zeros((300, 300))
    pan[200:, 200:] = np.random.default_rng(0).normal(size=(100, 100)) * 10
    pan[:60, :60] = np.random.default_rng(0).normal(size=(60, 60)) * 1000
    valid = np.ones((300, 300), bool)
    valid[:80, :80] = False
    rows, columns = most_detailed(pan, valid, (128, 64))
    assert rows.start >= 150 and columns.start >= 150 and rows.stop - rows.start == 128
    valid[:, 70:] = False
    valid[80:, :70] = True
    assert most_detailed(pan, valid, (128, 64))[1].stop <= 70


def exhibit_scene(gt: NDArray[np.float64]) -> Scene:
    valid = np.ones(gt.shape[1:], bool)
    pan, ms = gt.mean(axis=0, keepdims=True), gt[:, ::4, ::4]
    return Scene("one", "", ("blue", "green", "red", "nir"), pan, gt, ms, gt, valid, 255.0, "toolbox")


def test_histograms_count_whole_dn() -> None:
    gt = np.random.default_rng(0).integers(10, 30, (4, 64, 64)).astype(float)
    scene = exhibit_scene(gt)
    gallery = Gallery([scene])
    gallery.add(scene, "same", gt)
    gallery.add(scene, "elsewhere", gt + 100)
    exhibit = gallery.exhibits["one", "reduced"]
    assert (np.diff(exhibit.edges[0]) == 1).all() and (exhibit.reference[0] > 0).all()
    np.testing.assert_array_equal(exhibit.distributions["same"][2], exhibit.reference[2])
    assert exhibit.distributions["elsewhere"][0].sum() == 0


def test_few_of_many_scenes_are_drawn() -> None:
    gt = np.random.default_rng(0).integers(10, 30, (4, 64, 64)).astype(float)
    scenes = [exhibit_scene(gt) for _ in range(20)]
    named = [Scene(**(vars(scene) | {"name": str(number)})) for number, scene in enumerate(scenes)]
    gallery = Gallery(named)
    assert (len(gallery.exhibits), gallery.left_out) == (6, 14)
    assert {"0", "19"} <= {name for name, _ in gallery.exhibits}
