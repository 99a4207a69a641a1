"""Measure what freezing a scene's statistics costs: ERGAS with frozen affines against statistics per image.

python tests/bench/freezing.py runs/ship --data DATA/manifest.json
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from bnnpan.checkpoint import load_model
from bnnpan.data.appearance import in_units, pair_units
from bnnpan.data.pairs import Pair, load_pairs
from bnnpan.data.wald import seen_by_ms
from bnnpan.evaluate import fuse_pair
from bnnpan.evaluate.scene import Scene
from bnnpan.model import BNNPan
from bnnpan_runtime.scene_units import SceneUnits


def main() -> None:
    """Print one line per validation pair, and the mean."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    options = parser.parse_args()
    model, experiment, _ = load_model(options.run)
    config = experiment.data
    changes = []
    for pair in load_pairs(options.data, "val", config.bands, experiment.model.ratio, config.phase):
        scene = Scene.reduced(pair, config.phase)
        images = per_image(model, pair), fuse_pair(model, pair)
        live, frozen = (scene.score(image)["ERGAS"] for image in images)
        changes.append(frozen / live - 1)
        print(f"{pair.name:<20} per image {live:.4f}  frozen {frozen:.4f}  {changes[-1]:+.2%}")
    print(f"{'mean':<20} {np.mean(changes):+.2%}")


@torch.no_grad()
def per_image(model: BNNPan, pair: Pair) -> np.ndarray:
    """Fused image in DN, prior and statistics taken from the whole image."""
    height, width = (side // 2 * 2 for side in pair.valid.shape)
    in_scene_units = model.config.units == "scene"
    units = pair_units(pair) if in_scene_units else SceneUnits.of_bit_depth(pair.dn_scale, len(pair.lms))
    planes = (pair.pan, pair.lms, pair.gt, seen_by_ms(pair.pan, pair.ratio, pair.phase))
    images = in_units(units, *(image[:, :height, :width] for image in planes))
    pan, lms, _ = (torch.from_numpy(image)[None] for image in images)
    offset, scale = (np.array(v, np.float32)[:, None, None] for v in (units.ms_offset, units.ms_scale))
    fused = pair.lms.copy()
    fused[:, :height, :width] = model(pan, lms, model.predicted_prior(pan, lms))[0].numpy() * scale + offset
    return fused


if __name__ == "__main__":
    main()
