"""A feature exactly at its threshold: sign(0) = +1 in every form of the network."""

from __future__ import annotations

import numpy as np

from bnnpan.model import BNNPan
from bnnpan_export.assemble import export_bundle
from bnnpan_export.scenes import Scene
from bnnpan_export.untrained import random_network
from bnnpan_runtime.scene_units import SceneUnits

from .conftest import SMALL, SMALL_IDENTITY


def at_its_threshold() -> BNNPan:
    """On black images every feature that the first block gets is exactly the negative of its shift."""
    model = random_network(SMALL)
    shift = model.blocks[0].nbc.shift
    shift.zero_()
    shift[0] = -2 * model.head.bias  # LL of a constant plane is twice its value
    return model


def test_every_form_takes_the_sign_of_zero_as_plus_one() -> None:
    pan, lms = np.zeros((1, 128, 128)), np.zeros((4, 128, 128))
    black = Scene.of_dn("black", pan, lms, SceneUnits.of_bit_depth(2047.0, len(lms)), 2047.0)
    manifest = export_bundle(at_its_threshold(), SMALL_IDENTITY, scenes=[black]).manifest
    assert {"weights.safetensors", "onnx"} <= set(manifest.parity)
    for form, parity in manifest.parity.items():
        assert parity.largest_dn < 0.01, form
