"""The style files of docs/qgis.md are those of the bands and classes of today."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.product.mask import PixelClass


@pytest.fixture(scope="module")
def program(repo_root: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location("styles", repo_root / "tools" / "qgis_styles.py")
    assert specification is not None and specification.loader is not None
    module = sys.modules["styles"] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_the_files_are_what_the_program_writes(program: ModuleType, repo_root: Path):
    for name, text in program.styles().items():
        written = (repo_root / "docs" / "qgis" / name).read_text()
        assert written == text, f"{name} is stale: python tools/qgis_styles.py docs/qgis"


def test_a_mask_has_a_colour_and_a_word_for_every_class(repo_root: Path):
    entries = ElementTree.parse(repo_root / "docs" / "qgis" / "mask.qml").findall(".//paletteEntry")
    shown = {int(entry.attrib["value"]): entry.attrib["label"] for entry in entries}
    assert shown == {int(item): item.meaning for item in PixelClass}
    assert len({entry.attrib["color"] for entry in entries}) == len(PixelClass)


def test_a_product_is_shown_in_the_colours_of_its_bands(program: ModuleType, repo_root: Path):
    roles = Bundle.open("bgrn-x4").manifest.band_roles
    assert program.ROLES == roles
    renderer = ElementTree.parse(repo_root / "docs" / "qgis" / "product.qml").find(".//rasterrenderer")
    assert renderer is not None
    for colour in ("red", "green", "blue"):
        assert roles[int(renderer.attrib[f"{colour}Band"]) - 1] == colour
