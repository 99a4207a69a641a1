"""The bundle that ships is the network in `models/`, with its model card."""

from __future__ import annotations

from pathlib import Path

from bnnpan.checkpoint import load_model
from bnnpan_export.bundle import weights_file
from bnnpan_export.freeze import freeze
from bnnpan_runtime.bundle import Bundle


def test_weights_and_model_card_are_those_in_the_repository(repo_root: Path) -> None:
    source = repo_root / "models" / "bgrn-x4"
    model, experiment, provenance = load_model(source)
    bundle = Bundle.open("bgrn-x4")
    assert bundle.read("weights.safetensors") == weights_file(freeze(model))
    assert bundle.read("MODEL_CARD.md") == (source / "MODEL_CARD.md").read_bytes()
    assert bundle.manifest.band_roles == experiment.data.bands
    assert bundle.manifest.provenance["data"] == provenance["data"]
    assert bundle.manifest.parity.keys() >= {"native", "onnx", "tflite"}
    assert bundle.path.stat().st_size < 300_000
