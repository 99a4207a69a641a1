"""`bnnpan verify --layers`, and the same while exporting: the entry point of the group `bnnpan.verify`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bnnpan.model import PanSharpener
from bnnpan_export.layer_parity import FormDistance, first_deviating, layer_distances, table
from bnnpan_export.scenes import Scene, real_scenes
from bnnpan_export.taps.bundle import BundleForms, bundle_forms, synthetic_tiles, tile_of
from bnnpan_export.taps.forms import Tile
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.errors import ConfigError, VerificationError

__all__ = ["LayerReport", "check_layers", "layer_report", "verify_layers"]

TILES = 2
"""How many tiles every form is looked into on; each costs a run of every form per block."""


@dataclass(frozen=True)
class LayerReport:
    """Every form of a bundle against the reference, tap by tap; `missing` says what could not be opened."""

    reference: str
    tiles: tuple[str, ...]
    forms: tuple[FormDistance, ...]
    missing: dict[str, str]

    @property
    def deviating(self) -> dict[str, str]:
        """The forms that are not the reference, and the first layer in which each is not."""
        return first_deviating(self.forms)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {
            "reference": self.reference,
            "tiles": list(self.tiles),
            "forms": [form.to_json() for form in self.forms],
            "missing": self.missing,
            "deviating": self.deviating,
        }

    def text(self) -> str:
        """For people."""
        lines = [f"against {self.reference}, on {', '.join(self.tiles)}", table(self.forms)]
        lines += [f"not looked into: {form}: {reason}" for form, reason in self.missing.items()]
        lines += [f"{form} deviates first in {layer}" for form, layer in self.deviating.items()]
        return "\n".join(lines)


def verify_layers(bundle: Bundle, run: Path | None, data: Path | None) -> LayerReport:
    """Look into every form of a bundle that can be opened here.

    run    folder of the network it was exported from: then every pass is in the table, and the reference is
           that network; without it, the bundle's own weights in double precision are
    data   manifest of real imagery, whose validation tiles are looked at instead of synthetic ones

    Raises `ConfigError` if `run` is a network of other sizes or units.
    """
    model = None if run is None else _model_of(bundle, run)
    found, manifest = bundle_forms(bundle, model), bundle.manifest
    if data is None:
        tiles = synthetic_tiles(manifest, bundle.weights(), TILES)
    else:
        scenes = real_scenes(
            data, manifest.band_roles, manifest.network.ratio, manifest.phase, manifest.units
        )
        tiles = _tiles(bundle, scenes)
    return _report(found, tiles)


def layer_report(bundle: Bundle, model: PanSharpener, scenes: Sequence[Scene]) -> LayerReport:
    """The forms of a bundle, without the passes, against the trained network on some of the scenes."""
    return _report(bundle_forms(bundle, model, passes=False), _tiles(bundle, scenes))


def _model_of(bundle: Bundle, run: Path) -> PanSharpener:
    from bnnpan.checkpoint import load_model
    from bnnpan_export.passes.capture import network_shape

    model, manifest = load_model(run)[0], bundle.manifest
    own = {**vars(network_shape(model.config)), "units": model.config.units}
    wanted = {**vars(manifest.network), "units": manifest.units}
    differing = [
        f"{name} {own[name]} instead of {value}" for name, value in wanted.items() if own[name] != value
    ]
    if differing:
        raise ConfigError(
            f"{run} is not the network that bundle {manifest.id} was exported from: it has"
            f" {', '.join(differing)}; name the run of that network"
        )
    return model


def check_layers(report: LayerReport) -> None:
    """Raise `VerificationError` that names the first layer of each form that deviates."""
    if report.deviating:
        told = ", ".join(f"{form} in layer {layer!r}" for form, layer in report.deviating.items())
        raise VerificationError(f"not the trained network: {told}; nothing was written")


def _tiles(bundle: Bundle, scenes: Sequence[Scene]) -> list[Tile]:
    """Of scenes far from each other in the list, where neighbours are tiles of one image."""
    spread = scenes[:: max(1, len(scenes) // TILES)][:TILES]
    return [tile_of(scene, bundle.manifest, bundle.weights()) for scene in spread]


def _report(found: BundleForms, tiles: Sequence[Tile]) -> LayerReport:
    distances = layer_distances(found.reference, found.forms, found.frozen, tiles)
    names = tuple(tile.name for tile in tiles)
    return LayerReport(found.reference.name, names, tuple(distances), found.missing)
