"""A drawing in SVG: the few shapes that a picture of a network needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

__all__ = ["Drawing", "Point"]

Point = tuple[float, float]

_FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, sans-serif"
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no file of XML may hold: XML 1.0, 2.2."""

_HEAD_LENGTH, _HEAD_HALF_WIDTH = 7, 4


class Drawing:
    """Shapes in pixels, from the upper left corner; later ones cover earlier ones."""

    def __init__(self, width: float) -> None:
        self._width = width
        self._root = ElementTree.Element("svg", {"xmlns": "http://www.w3.org/2000/svg", "font-family": _FONT})
        self._paper = ElementTree.SubElement(self._root, "rect")

    def box(
        self,
        left: float,
        top: float,
        width: float,
        height: float,
        fill: str,
        *,
        edge: str = "none",
        corner: float = 0,
    ) -> None:
        """A rectangle; `corner` is the radius of its corners."""
        self._add("rect", x=left, y=top, width=width, height=height, fill=fill, stroke=edge, rx=corner)

    def circle(self, centre: Point, radius: float, fill: str, edge: str) -> None:
        """A disc."""
        self._add("circle", cx=centre[0], cy=centre[1], r=radius, fill=fill, stroke=edge)

    def text(
        self,
        place: Point,
        words: str,
        fill: str,
        *,
        size: float = 13,
        bold: bool = False,
        anchor: str = "start",
    ) -> None:
        """One line, if any; `place` on its baseline is its start, middle or end, as `anchor` says."""
        if not words:
            return
        weight = 600 if bold else 400
        element = self._add(
            "text", x=place[0], y=place[1], fill=fill, font_size=size, font_weight=weight, text_anchor=anchor
        )
        element.text = _NOT_XML.sub("\ufffd", words)

    def line(self, points: Sequence[Point], stroke: str, *, dashed: bool = False) -> None:
        """A line through all points."""
        dashes = "4 3" if dashed else "none"
        self._add(
            "path", d=_path(points), fill="none", stroke=stroke, stroke_width=1.5, stroke_dasharray=dashes
        )

    def arrow(self, points: Sequence[Point], stroke: str, *, dashed: bool = False) -> None:
        """A line with a head at its end; its last part is upright or level."""
        self.line(points, stroke, dashed=dashed)
        (from_x, from_y), (x, y) = points[-2:]
        along_x, along_y = (x > from_x) - (x < from_x), (y > from_y) - (y < from_y)
        back = (x - _HEAD_LENGTH * along_x, y - _HEAD_LENGTH * along_y)
        wings = [
            (back[0] + side * along_y, back[1] + side * along_x)
            for side in (-_HEAD_HALF_WIDTH, _HEAD_HALF_WIDTH)
        ]
        self._add("path", d=_path([(x, y), *wings]) + " Z", fill=stroke)

    def to_svg(self, height: float, paper: str) -> str:
        """The file's text; the drawing is cut off at `height`, and behind it is `paper`."""
        size = {"width": f"{self._width:g}", "height": f"{height:g}"}
        self._paper.attrib.update(size, fill=paper)
        self._root.attrib.update(size, viewBox=f"0 0 {self._width:g} {height:g}")
        ElementTree.indent(self._root, " ")
        return ElementTree.tostring(self._root, encoding="unicode") + "\n"

    def _add(self, kind: str, **attributes: float | str) -> ElementTree.Element:
        written = {
            name.replace("_", "-"): value if isinstance(value, str) else f"{value:g}"
            for name, value in attributes.items()
        }
        return ElementTree.SubElement(self._root, kind, written)


def _path(points: Sequence[Point]) -> str:
    return "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
