"""Write the style files of `docs/qgis.md`: true colour for products, the classes of a mask.

    python tools/qgis_styles.py docs/qgis

Bands are those of the shipped bundle; classes and colours are those of `bnnpan_runtime.product.mask`. A test
compares the files with what this writes. Elements are those that QGIS 3 writes into a raster's style.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from bnnpan_runtime.product.mask import PixelClass

ROLES = ("blue", "green", "red", "nir")
"""Bands of a product of the bundle bgrn-x4, in their order."""

_DARKEST, _BRIGHTEST = "0", "2047"
"""DN of 11 bits, until QGIS has looked at the pixels that are on the screen."""

_CUTS = ("0.02", "0.98")
"""Shares of the darkest and the brightest pixels that may be clipped, those of QGIS."""

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"


def main() -> None:
    """Write both files into the folder that is named."""
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name, text in styles().items():
        (folder / name).write_text(text, encoding="utf-8")


def styles() -> dict[str, str]:
    """File -> what is in it."""
    return {"product.qml": _file(_product()), "mask.qml": _file(_mask())}


def _product() -> Element:
    """Red, green and blue, stretched to what is on the screen."""
    bands = {f"{colour}Band": str(ROLES.index(colour) + 1) for colour in ("red", "green", "blue")}
    renderer = Element("rasterrenderer", type="multibandcolor", opacity="1", alphaBand="-1", **bands)
    SubElement(renderer, "rasterTransparency")
    _add(renderer, "minMaxOrigin", _origin("CumulativeCut", "UpdatedCanvas"))
    for colour in ("red", "green", "blue"):
        stretch = {"minValue": _DARKEST, "maxValue": _BRIGHTEST, "algorithm": "StretchToMinimumMaximum"}
        _add(renderer, f"{colour}ContrastEnhancement", stretch)
    return renderer


def _mask() -> Element:
    """A colour and a word for every class."""
    renderer = Element("rasterrenderer", type="paletted", opacity="1", alphaBand="-1", band="1")
    SubElement(renderer, "rasterTransparency")
    _add(renderer, "minMaxOrigin", _origin("None", "WholeRaster"))
    palette = SubElement(renderer, "colorPalette")
    for item in PixelClass:
        colour = "#{:02x}{:02x}{:02x}".format(*item.colour)
        SubElement(
            palette, "paletteEntry", value=str(int(item)), color=colour, alpha="255", label=item.meaning
        )
    return renderer


def _origin(limits: str, extent: str) -> dict[str, str]:
    """Where the ends of a stretch come from."""
    lower, upper = _CUTS
    origin = {"limits": limits, "extent": extent, "statAccuracy": "Estimated"}
    return origin | {"cumulativeCutLower": lower, "cumulativeCutUpper": upper, "stdDevFactor": "2"}


def _add(parent: Element, name: str, values: dict[str, str]) -> None:
    child = SubElement(parent, name)
    for key, value in values.items():
        SubElement(child, key).text = value


def _file(renderer: Element) -> str:
    root = Element("qgis", version="3.22", styleCategories="Symbology")
    pipe = SubElement(root, "pipe")
    pipe.append(renderer)
    SubElement(pipe, "brightnesscontrast", brightness="0", contrast="0", gamma="1")
    SubElement(pipe, "huesaturation", saturation="0", grayscaleMode="0")
    SubElement(pipe, "rasterresampler", maxOversampling="2")
    SubElement(root, "blendMode").text = "0"
    ElementTree.indent(root)
    return _DOCTYPE + ElementTree.tostring(root, encoding="unicode") + "\n"


if __name__ == "__main__":
    main()
