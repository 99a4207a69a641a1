"""The export from end to end: freeze, write, measure, check, pack."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bnnpan.model import ModelConfig, PanSharpener
from bnnpan_export.bundle import file_entries, pack_bundle, weights_file, write_bundle
from bnnpan_export.emit import FrozenNetwork
from bnnpan_export.engines import stock_engine
from bnnpan_export.freeze import freeze
from bnnpan_export.golden import golden_tile
from bnnpan_export.memory import measure_memory
from bnnpan_export.onnx_graph import fuse_graph, serialised
from bnnpan_export.parity import check_parity, measure_parity
from bnnpan_export.receptive_field import halo
from bnnpan_export.scenes import Scene, synthetic_scene
from bnnpan_export.signing import SigningKey
from bnnpan_export.taps.verify import LayerReport, check_layers, layer_report
from bnnpan_export.tflite_lce import TFLITE_WINDOW, fuse_tflite, missing_packages
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.contract import (
    GOLDEN_NAME,
    MODEL_CARD_NAME,
    SCHEMA,
    WEIGHTS_NAME,
    Calibration,
    Manifest,
    Parity,
    Phase,
    Units,
)
from bnnpan_runtime.errors import BackendError
from bnnpan_runtime.graph import Backend, open_backend

__all__ = ["FORMATS", "Exported", "Identity", "export_bundle"]

FORMATS = ("onnx", "tflite", "bits")
"""What a bundle can hold; "bits", the tensors of the native engine, is always in it."""

_SYNTHETIC_SCENES = 4

Say = Callable[[str], None]


@dataclass(frozen=True)
class Identity:
    """What a bundle says about itself, beyond its network."""

    id: str
    sensor: str
    band_roles: tuple[str, ...]
    bit_depth: int
    phase: Phase
    rollback_counter: int = 0

    @property
    def dn_scale(self) -> float:
        """The largest DN."""
        return float(2**self.bit_depth - 1)


@dataclass(frozen=True)
class Exported:
    """A finished bundle: its bytes, and the manifest in them."""

    content: bytes
    manifest: Manifest


def export_bundle(
    model: PanSharpener,
    identity: Identity,
    formats: Collection[str] | None = None,
    scenes: Sequence[Scene] = (),
    model_card: bytes | None = None,
    provenance: Mapping[str, Any] | None = None,
    say: Say = lambda line: None,
    key: SigningKey | None = None,
) -> Exported:
    """Make the bundle of a trained network, and measure every form in it against that network.

    formats     of `FORMATS`; None takes all that can be made here and says what is left out
    scenes      for the parity; without any, synthetic ones
    say         is told each step, for people
    key         signs the manifest

    Raises `ConfigError` for a network that no form can express, `VerificationError` if a form is too far from
    the reference, `BackendError` if what a wanted format needs is not installed.
    """
    calibration = Calibration()
    formats = _possible(formats, say)
    say("freezing the network")
    network = freeze(model)
    manifest, files = _graphs(network, identity, model.config.units, calibration, formats, say)
    files[WEIGHTS_NAME] = weights_file(network)
    files[GOLDEN_NAME] = golden_tile(model, identity.bit_depth, identity.phase)
    if model_card is not None:
        files[MODEL_CARD_NAME] = model_card
    scenes = scenes or _synthetic_scenes(model.config, identity)
    tiles = [scene.name for scene in scenes]
    manifest = replace(manifest, provenance={**(provenance or {}), "parity_tiles": tiles})
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "draft.bnnpan"
        write_bundle(draft, pack_bundle(manifest, files))
        backends = _backends(Bundle.open(draft), formats, say)
        say(f"measuring parity on {len(scenes)} tiles ({', '.join(backend.name for backend in backends)})")
        distances = measure_parity(model, network, backends, scenes, calibration, identity.dn_scale)
        check_parity(distances, identity.dn_scale)
        say("looking into every layer")
        layers = layer_report(Bundle.open(draft), model, scenes)
        check_layers(layers)
        say("measuring memory")
        libraries = [name for name in ("onnx", "tflite") if name in formats]
        memory = {name: measure_memory(draft, manifest, name) for name in libraries}
    parity = _with_flipped_signs({name: found.parity for name, found in distances.items()}, layers)
    manifest = replace(manifest, parity=parity, memory=memory, files=file_entries(files))
    return Exported(pack_bundle(manifest, files, key), manifest)


def _with_flipped_signs(parity: Mapping[str, Parity], layers: LayerReport) -> dict[str, Parity]:
    shares = {form.form: float(f"{form.flipped_share:.3g}") for form in layers.forms}
    return {name: replace(found, flipped_signs=shares.get(name, 0.0)) for name, found in parity.items()}


def _synthetic_scenes(config: ModelConfig, identity: Identity) -> list[Scene]:
    scenes = []
    for seed in range(100, 100 + _SYNTHETIC_SCENES):  # none of them the golden tile
        raw = synthetic_scene(config.bands, config.ratio, identity.bit_depth, seed)
        scenes.append(raw.scene(f"synthetic {seed}", identity.phase, config.units, identity.dn_scale))
    return scenes


def _possible(formats: Collection[str] | None, say: Say) -> Collection[str]:
    missing = missing_packages()
    if formats is None and missing:
        say(f"leaving out tflite: {', '.join(missing)} not installed")
        return [name for name in FORMATS if name != "tflite"]
    if formats is not None and "tflite" in formats and missing:
        raise BackendError(f"tflite cannot be written: install {', '.join(missing)}, or leave the format out")
    return FORMATS if formats is None else formats


def _graphs(
    network: FrozenNetwork,
    identity: Identity,
    units: Units,
    calibration: Calibration,
    formats: Collection[str],
    say: Say,
) -> tuple[Manifest, dict[str, bytes]]:
    """Manifest without files, parity and memory; the graphs of the wanted formats."""
    say("writing the ONNX graph")
    radius = halo(fuse_graph(network, {}))
    manifest = Manifest(
        schema=SCHEMA,
        id=identity.id,
        sensor=identity.sensor,
        band_roles=identity.band_roles,
        bit_depth=identity.bit_depth,
        dn_scale=identity.dn_scale,
        phase=identity.phase,
        halo=radius,
        network=network.shape,
        calibration=calibration,
        tflite_window=TFLITE_WINDOW if "tflite" in formats else 0,
        files={},
        units=units,
        rollback_counter=identity.rollback_counter,
    )
    files: dict[str, bytes] = {}
    if "onnx" in formats:
        files["fuse.onnx"] = serialised(fuse_graph(network, _properties(manifest)))
    if "tflite" in formats:
        say("writing the TFLite graph")
        files["fuse.tflite"] = fuse_tflite(network)
    return manifest, files


def _properties(manifest: Manifest) -> dict[str, str]:
    """Metadata of the ONNX file: what one needs to use it without the bundle.

    `model_license` is a name of the ONNX specification.
    """
    return {
        "id": manifest.id,
        "sensor": manifest.sensor,
        "bands": ",".join(manifest.band_roles),
        "ratio": str(manifest.network.ratio),
        "bit_depth": str(manifest.bit_depth),
        "phase": manifest.phase,
        "halo": str(manifest.halo),
        "units": manifest.units,
        "model_license": "Apache-2.0; weights: as the model card of the bundle says",
    }


def _backends(bundle: Bundle, formats: Collection[str], say: Say) -> list[Backend]:
    backends: list[Backend] = []
    try:
        backends.append(open_backend("native", bundle))
    except BackendError as error:
        say(f"not checking the native engine: {error}")
    return backends + [stock_engine(name, bundle) for name in ("onnx", "tflite") if name in formats]
