"""A bundle in a catalogue: STAC 1.1 and its Machine Learning Model extension (MLM).

Source: https://github.com/stac-extensions/mlm, version 1.4.0. Everything is plain JSON.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from bnnpan_runtime.architecture import calibration_layers, fusion_layers, sum_of
from bnnpan_runtime.contract import WEIGHTS_NAME

if TYPE_CHECKING:
    from bnnpan_runtime.bundle import Bundle
    from bnnpan_runtime.contract import Manifest

__all__ = ["FILE_SCHEMA", "MLM_SCHEMA", "STAC_VERSION", "mlm_properties", "model_item"]

STAC_VERSION = "1.1.0"
MLM_SCHEMA = "https://stac-extensions.github.io/mlm/v1.4.0/schema.json"
FILE_SCHEMA = "https://stac-extensions.github.io/file/v2.1.0/schema.json"

_PAN = "pan"
_TASKS = ["super-resolution"]
"""The nearest task the extension knows to pan-sharpening: more detail for MS, here taken from a PAN."""

_SHA256_MULTIHASH = "1220"
"""Code of SHA-256, and 32 bytes of it."""

_WHOLE_WORLD = (-180.0, -90.0, 180.0, 90.0)
"""West, south, east, north. A network is valid wherever its sensor looks."""

_ALL_TIME = ("1900-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
"""A network is valid whenever a scene was taken; these are the bounds in the extension's own examples."""


def mlm_properties(manifest: Manifest) -> dict[str, Any]:
    """Fields `mlm:...` of the network: what it is, what goes in, how it is scaled, what comes out.

    `mlm:memory_size` is the network's weights in memory; what a tile takes on top depends on its size, and
    `bnnpan plan` tells. `mlm:total_parameters` counts a sign as one.
    """
    layers = [
        *fusion_layers(manifest.network),
        *calibration_layers(manifest.network, manifest.calibration),
    ]
    return {
        "mlm:name": _model_name(manifest.id),
        "mlm:architecture": "BNNPan",
        "mlm:tasks": list(_TASKS),
        "mlm:framework": "PyTorch",
        "mlm:memory_size": manifest.files[WEIGHTS_NAME].size_bytes,
        "mlm:total_parameters": sum_of(layers).parameters,
        "mlm:pretrained": True,
        **_training_source(manifest),
        "mlm:batch_size_suggestion": 1,
        "mlm:accelerator": None,
        "mlm:accelerator_constrained": False,
        "mlm:accelerator_summary": "1-bit kernels for CPUs: AVX-512, AVX2, NEON, portable C",
        "mlm:input": [_pan_input(manifest), _lms_input(manifest), _affines_input(manifest)],
        "mlm:output": [_output(manifest)],
        "mlm:hyperparameters": _hyperparameters(manifest),
    }


def model_item(bundle: Bundle, href: str) -> dict[str, Any]:
    """STAC item of a bundle that readers of the item find at `href`."""
    manifest = bundle.manifest
    with bundle.path.open("rb") as container:
        digest = hashlib.file_digest(container, "sha256").hexdigest()
    # MLM looks for them among the properties, where STAC wants them only if an asset has them, too.
    bands = [{"name": name} for name in (_PAN, *_ms_bands(manifest))]
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [MLM_SCHEMA, FILE_SCHEMA],
        "id": manifest.id or bundle.path.stem,
        "bbox": list(_WHOLE_WORLD),
        "geometry": {"type": "Polygon", "coordinates": [_ring(*_WHOLE_WORLD)]},
        "properties": {
            "title": f"{manifest.id}: 1-bit pan-sharpening",
            "description": _description(manifest),
            "datetime": None,
            "start_datetime": _ALL_TIME[0],
            "end_datetime": _ALL_TIME[1],
            "bands": bands,
            **mlm_properties(manifest),
        },
        "links": [],
        "assets": {
            "model": {
                "href": href,
                "type": "application/zip",
                "title": f"{manifest.id}: bundle for bnnpan-runtime",
                "description": f"Holds manifest.json, {', '.join(sorted(manifest.files))}",
                "bands": bands,
                "roles": ["mlm:model", "mlm:weights", "data"],
                "mlm:artifact_type": "bnnpan",
                "file:size": bundle.path.stat().st_size,
                "file:checksum": _SHA256_MULTIHASH + digest,
            }
        },
    }


def _model_name(name: str) -> str:
    """Letters, digits, `_.-` and blanks, a letter first, no mark last: the pattern of the extension."""
    plain = re.sub(r"[^a-zA-Z0-9_.-]+", "-", name)
    return f"BNNPan {plain}".rstrip("_.- ")


def _training_source(manifest: Manifest) -> dict[str, str]:
    """Names of the scenes it was trained on, where the bundle says so."""
    data = manifest.provenance.get("data")
    if not isinstance(data, list) or not data or not all(isinstance(name, str) for name in data):
        return {}
    return {"mlm:pretrained_source": ", ".join(data)}


def _ms_bands(manifest: Manifest) -> list[str]:
    return [role or f"band {index + 1}" for index, role in enumerate(manifest.band_roles)]


def _pan_input(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": "pan",
        "description": "A window of the PAN; height and width even.",
        "bands": [_PAN],
        "input": _image(1),
        "value_scaling": [_scaling(manifest)],
        "resize_type": None,
        "pre_processing_function": None,
    }


def _lms_input(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": "lms",
        "description": (
            f"The same window of MS, interpolated to the grid of the PAN, {manifest.network.ratio} times as "
            f"fine; {manifest.phase} phase."
        ),
        "bands": _ms_bands(manifest),
        "input": _image(manifest.network.bands),
        "value_scaling": [_scaling(manifest)],
        "resize_type": None,
        "pre_processing_function": _python("bnnpan_runtime.resample:Resampler"),
    }


def _affines_input(manifest: Manifest) -> dict[str, Any]:
    network, calibration = manifest.network, manifest.calibration
    return {
        "name": "affines",
        "description": (
            f"Calibration of a scene, the same for all of its windows, from {calibration.count} patches "
            f"of {calibration.patch} x {calibration.patch} PAN pixels."
        ),
        "bands": [],
        "input": {
            "shape": [network.blocks, 2, network.channels],
            "dim_order": ["block", "affine", "channel"],
            "data_type": "float32",
        },
        "value_scaling": None,
        "resize_type": None,
        "pre_processing_function": _python("bnnpan_runtime.calibrate:calibrate"),
    }


def _output(manifest: Manifest) -> dict[str, Any]:
    return {
        "name": "hrms",
        "description": (
            "MS at the resolution of the PAN, scaled as the inputs are, bands in the order of lms; "
            f"pixels within {manifest.halo} of the window's border lack neighbours."
        ),
        "tasks": list(_TASKS),
        "result": _image(manifest.network.bands),
        "post_processing_function": None,
    }


def _image(bands: int) -> dict[str, Any]:
    return {
        "shape": [1, bands, -1, -1],
        "dim_order": ["batch", "channel", "height", "width"],
        "data_type": "float32",
    }


def _scaling(manifest: Manifest) -> dict[str, Any]:
    """Of DN, for all bands of an input."""
    if manifest.units == "bit_depth":
        return {"type": "scale", "value": manifest.dn_scale}
    return {"type": "processing", **_python("bnnpan_runtime.scene_units:SceneUnits")}


def _python(expression: str) -> dict[str, str]:
    """Processing that is too much for a formula: where its code is."""
    return {"format": "python", "expression": expression}


def _hyperparameters(manifest: Manifest) -> dict[str, Any]:
    network = manifest.network
    return {
        "ratio": network.ratio,
        "bit_depth": manifest.bit_depth,
        "phase": manifest.phase,
        "units": manifest.units,
        "halo_pixels": manifest.halo,
        "channels": network.channels,
        "blocks": network.blocks,
        "latent": network.latent,
        "prior_steps": network.prior_steps,
        "rollback_counter": manifest.rollback_counter,
    }


def _description(manifest: Manifest) -> str:
    return (
        f"Pan-sharpens {manifest.network.bands} MS bands ({', '.join(_ms_bands(manifest))}) at ratio "
        f"{manifest.network.ratio} with 1-bit weights and activations. Sensor: {manifest.sensor}."
    )


def _ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    """Corners counter-clockwise, the first once more at the end."""
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]
