"""The summary page."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from bnnpan_archive.job import Options, Order
from bnnpan_archive.pages.histogram import histogram
from bnnpan_archive.pages.page import write_page
from bnnpan_archive.result import Result
from bnnpan_archive.scene import Scene

from .conftest import Made

ORDER = Options("bgrn-x4", 128 << 20, 1, ("--register", "off"), "/", True)


def page(folder: Path, *results: Result, waiting: int = 0) -> str:
    scenes = tuple(Scene(result.scene, "p", ("m",)) for result in results)
    return write_page(Order(str(folder), "scenes", ORDER, scenes), results, waiting).read_text()


def good(name: str, **scores: float) -> Result:
    return Result(
        name, {}, "", f"{name}/{name}.tif", "0" * 64, scores=scores, fuse={"pan_pixels": 10**6}, peak_mib=90
    )


def test_it_says_everything_and_loads_nothing_from_elsewhere(made: Made):
    text = (made.folder / "index.html").read_text()
    assert not re.search(r"https?://|<script|@import", text)
    links = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert links and all((made.folder / link).is_file() for link in links)
    assert sum(link.endswith(".thumbnail.jpg") for link in links) == 2
    assert "2 of 3" in text and "damaged or truncated" in text and "bnnpan fuse --pan" in text
    assert text.count('class="chart"') == 3


def test_names_and_messages_are_text(tmp_path: Path):
    bad = Result("b", {}, "bnnpan fuse '<b>'", exit_code=3, message="a < b & <script>")
    text = page(tmp_path, bad, waiting=4)
    assert "<script>" not in text and "a &lt; b &amp; &lt;script&gt;" in text and "not yet tried" in text


def test_a_product_without_figures_is_shown(tmp_path: Path):
    text = page(tmp_path, good("a"), good("b", HQNR=0.9))
    assert text.count('class="chart"') == 1 and "a/a.tif" in text


def test_a_histogram_counts_every_value_once():
    drawing = histogram("D_s", [1.0, 1.0, 2.0, 9.0], "lower is better")
    titles = [title.text or "" for title in ElementTree.fromstring(drawing).iter("title")]
    assert sum(int(title.split()[0]) for title in titles) == 4 and len(titles) == 3
    assert ElementTree.fromstring(histogram("HQNR", [0.5], "")) is not None
