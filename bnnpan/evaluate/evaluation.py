"""All methods on all scenes: the loop, and what comes out of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from bnnpan.data.lms import sample_position
from bnnpan.evaluate.gallery import Gallery
from bnnpan.evaluate.methods import INTERPOLATION, Method, Network
from bnnpan.evaluate.paper import PaperTable
from bnnpan.evaluate.scene import Image, Scene
from bnnpan.evaluate.scores import Scores, of_pairs, summary
from bnnpan.evaluate.table import Column, columns, filled, text_table
from bnnpan_runtime.errors import SceneError

__all__ = ["Evaluation", "run"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """Scores of every method on every scene, and the facts a reader needs to judge them."""

    scores: Scores
    scenes: dict[str, dict[str, dict[str, Any]]]
    """Facts: pair -> resolution -> fact -> value."""
    sensors: dict[str, list[str]]
    """Sensor -> pairs."""
    networks: list[Network]
    paper: list[PaperTable]

    @property
    def protocol(self) -> str:
        """What was scored: "reduced", "full" or "both" resolutions."""
        found = {resolution for of_pair in self.scenes.values() for resolution in of_pair}
        return found.pop() if len(found) == 1 else "both"

    @property
    def columns(self) -> list[Column]:
        """Columns of every table."""
        bands = {len(facts["bands"]) for of_pair in self.scenes.values() for facts in of_pair.values()}
        return columns(self.scores.values(), bands)

    def conditions(self) -> list[str]:
        """What a reader must know to judge the numbers, a line each."""
        lines = self._geometries()
        lines.append(f"{INTERPOLATION} is plain interpolation, which does not compete")
        lines.append("nodata, and what filters carry of it, counts neither in statistics nor in metrics")
        if self.networks:
            lines.append("networks are calibrated once per scene on fixed patches, then frozen, as on board")
        simulated = [
            name
            for name, of_pair in self.scenes.items()
            if any(facts["simulated_pan"] for facts in of_pair.values())
        ]
        if simulated:
            lines.append(f"PAN simulated from the bands, which flatters every method: {', '.join(simulated)}")
        for network in self.networks:
            data = network.provenance.get("data", ())
            collections = {Path(name).stem for name in data if name.endswith(".h5")}
            seen = [name for name in self.scenes if name in data or name.rpartition("_")[0] in collections]
            if seen:
                lines.append(f"{network.name} was trained on {', '.join(seen)}")
        return lines

    def groups(self) -> list[tuple[str, Scores]]:
        """What means are taken over: all pairs, and those of each sensor that has several among others."""
        groups = [(self._count(self.scores), self.scores)] if len(self.scores) > 1 else []
        groups += [
            (f"{sensor}: {self._count(names)}", of_pairs(self.scores, names))
            for sensor, names in self.sensors.items()
            if 1 < len(names) < len(self.scores)
        ]
        return groups

    def _count(self, names: Collection[str]) -> str:
        """How many pairs, at either resolution if not all have both."""
        reduced, full = (sum(kind in self.scenes[name] for name in names) for kind in ("reduced", "full"))
        if self.protocol == "both" and not reduced == full == len(names):
            return f"{reduced} pairs at reduced, {full} at full resolution"
        return f"{len(names)} pairs"

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON; numbers that are not finite are null."""
        value = {
            "protocol": self.protocol,
            "pairs": self.scores,
            **summary(self.scores),
            "sensors": {
                sensor: {"pairs": names, **summary(of_pairs(self.scores, names))}
                for sensor, names in self.sensors.items()
            },
            "scenes": self.scenes,
            "networks": {network.name: network.facts() for network in self.networks},
            "paper": [
                {
                    "source": table.title,
                    "note": table.note,
                    "binary": sorted(table.binary),
                    "mean": table.mean,
                    "std": table.std,
                }
                for table in self.paper
            ],
        }
        return dict(_finite(value))

    def to_text(self) -> str:
        """Tables for a terminal, means last."""
        shown = self.columns
        blocks = ["\n".join(self.conditions())]
        for name, values in self.scores.items():
            sensor = next(sensor for sensor, names in self.sensors.items() if name in names)
            blocks.append(text_table(f"{name} ({sensor})", values, filled(shown, values)))
        for table in self.paper:
            blocks.append(text_table(f"{table.title}: mean", table.labelled(table.mean), shown))
            spread = text_table("standard deviation", table.labelled(table.std), shown)
            blocks.append(f"{spread}\n{table.note}")
        for title, scores in reversed(self.groups()):
            summed = summary(scores)
            blocks.append(text_table(f"{title}: standard deviation", summed["std"], shown))
            blocks.append(text_table(f"{title}: mean", summed["mean"], shown))
        return "\n\n".join(blocks)

    def _geometries(self) -> list[str]:
        """Which LMS was used, a line for each resolution, phase and ratio."""
        lines = []
        for of_pair in self.scenes.values():
            for resolution, facts in of_pair.items():
                phase, ratio = facts["lms_phase"], facts["ratio"]
                place = f"MS pixel k at PAN {ratio} k + {sample_position(ratio, phase):g}"
                lines.append(f"{resolution} resolution: LMS of phase {phase}, {place}")
        return list(dict.fromkeys(lines))


def run(
    scenes: Sequence[Scene],
    networks: Sequence[Network],
    baselines: Sequence[Method],
    paper: Sequence[PaperTable] = (),
    gallery: Gallery | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Fuse and score every scene with every method; `gallery` keeps what is drawn of the images.

    A classical method that cannot fuse a scene is logged and left out there. Raises `SceneError` where a
    network cannot, or a scene cannot be scored.
    """
    methods = [*(network.method for network in networks), *baselines]
    result = Evaluation({}, {}, {}, list(networks), list(paper))
    for index, scene in enumerate(scenes):
        result.scenes.setdefault(scene.name, {})[scene.resolution] = scene.facts()
        pairs = result.sensors.setdefault(scene.sensor_name, [])
        pairs += [scene.name] if scene.name not in pairs else []
        of_pair = result.scores.setdefault(scene.name, {})
        for number, method in enumerate(methods):
            log.info("%s at %s resolution: %s", scene.name, scene.resolution, method.name)
            image = _fused(method, scene)
            if image is not None:
                of_pair.setdefault(method.name, {}).update(scene.score(image))
                if gallery is not None:
                    gallery.add(scene, method.name, image)
            progress(index * len(methods) + number + 1, len(scenes) * len(methods))
    return result


def _fused(method: Method, scene: Scene) -> Image | None:
    try:
        return method.fuse(scene)
    except SceneError as error:
        if method.is_network:
            raise
        log.warning("%s at %s resolution: no %s: %s", scene.name, scene.resolution, method.name, error)
        return None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not isfinite(value) else value
