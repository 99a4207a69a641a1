"""How many bytes an update of the shipped bundle takes to send.

PYTHONPATH=tests python tests/bench/patches.py [--retrained]

Updates are made of the shipped bundle: its tensors changed, in the graphs, too, where they hold the same
bytes (all signs; calibration is in the weights alone), a new golden tile by the native engine, a new
manifest, signed. With --retrained, the bundles of two networks that have nothing in common, written by the
exporter, which takes minutes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save
from signing_keys import Key, entries_of, signed_copy
from unit_bundles import _golden_file

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.container_writer import pack_entries
from bnnpan_runtime.contract import GOLDEN_NAME, GRAPH_NAMES, MANIFEST_NAME, MODEL_CARD_NAME, WEIGHTS_NAME
from bnnpan_runtime.uplink.install import diff_bundles
from bnnpan_runtime.uplink.packets import split

CALIBRATION = ("ldpc", "cdc", "encoder", "denoiser", "diffusion")
PACKET_BYTES = 1024
Tensors = dict[str, np.ndarray]
Change = Callable[[Tensors], None]


def main() -> None:
    """Print a line per update."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--retrained", action="store_true", help="also two networks of the exporter")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        old = Bundle.open(signed_copy(Bundle.open("bgrn-x4"), folder / "old", Key.number(1)))
        print(f"{'update':44} {'patch':>8} {'packets':>8} {'of the bundle':>14}")
        for title, change in UPDATES.items():
            show(title, old, updated(old, folder / "new", change), folder)
        if arguments.retrained:
            show("another network altogether", *two_networks(folder), folder)


def show(title: str, old: Bundle, new: Bundle, folder: Path) -> None:
    size = diff_bundles(old, new, folder / "patch")
    packets = len(list(split((folder / "patch").read_bytes(), PACKET_BYTES)))
    print(f"{title:44} {size:8} {packets:8} {100 * size / new.path.stat().st_size:12.1f} %", flush=True)


def calibration(step: float, suffixes: tuple[str, ...] = ("",)) -> Change:
    """Its numbers times 1 + `step` of a normal variable."""

    def change(tensors: Tensors) -> None:
        rng = np.random.default_rng(1)
        for name, tensor in sorted(tensors.items()):
            if name.startswith(CALIBRATION) and name.endswith(suffixes):
                tensor *= (1 + step * rng.standard_normal(tensor.shape)).astype(np.float32)

    return change


def signs(share: float) -> Change:
    """That share of all binary weights the other way round."""

    def change(tensors: Tensors) -> None:
        bits = tensors["trunk.bits"]
        flipped = np.random.default_rng(2).random(8 * bits.size) < share
        bits ^= np.packbits(flipped, bitorder="little").reshape(bits.shape)

    return change


UPDATES: dict[str, Change | None] = {
    "a sentence in the model card": None,
    "calibration: biases and gains, by 1 %": calibration(0.01, ("bias", "gain", "start")),
    "calibration: all 27 656 numbers, by 0.001 %": calibration(1e-5),
    "calibration: all 27 656 numbers, by 1 %": calibration(0.01),
    "0.1 % of the binary weights": signs(0.001),
    "1 % of the binary weights": signs(0.01),
}


def updated(old: Bundle, path: Path, change: Change | None) -> Bundle:
    files = entries_of(old)
    if change is None:
        files[MODEL_CARD_NAME] += b"\nThis is the second edition.\n"
    else:
        tensors = {name: np.array(tensor) for name, tensor in load(files[WEIGHTS_NAME]).items()}
        before = tensors["trunk.bits"].copy()
        change(tensors)
        files[WEIGHTS_NAME] = save({name: tensors[name] for name in sorted(tensors)})
        for name in GRAPH_NAMES:
            for row, new_row in zip(
                before.reshape(-1, 9 * 32 * 4), tensors["trunk.bits"].reshape(-1, 9 * 32 * 4), strict=True
            ):
                assert row.tobytes() in files[name]
                files[name] = files[name].replace(row.tobytes(), new_row.tobytes())
        packed(files, path)
        files[GOLDEN_NAME] = _golden_file(Bundle.open(path))
    return Bundle.open(signed_copy(Bundle.open(packed(files, path)), path, Key.number(1)))


def packed(files: dict[str, bytes], path: Path) -> Path:
    """With a manifest that fits."""
    manifest = json.loads(files[MANIFEST_NAME])
    manifest["rollback_counter"] = 1
    for name in manifest["files"]:
        digest = hashlib.sha256(files[name]).hexdigest()
        manifest["files"][name] = {"sha256": digest, "size_bytes": len(files[name])}
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_bytes(pack_entries({**files, MANIFEST_NAME: text.encode() + b"\n"}))
    return path


def two_networks(folder: Path) -> tuple[Bundle, Bundle]:
    from bnnpan.model import ModelConfig
    from bnnpan_export.assemble import Identity, export_bundle
    from bnnpan_export.untrained import random_network

    identity = Identity("random", "none", ("blue", "green", "red", "nir"), 11, "centred")
    bundles = []
    for seed in range(2):
        exported = export_bundle(random_network(ModelConfig(bands=4), seed), identity)
        (path := folder / f"{seed}.bnnpan").write_bytes(exported.content)
        bundles.append(Bundle.open(path))
    return bundles[0], bundles[1]


if __name__ == "__main__":
    main()
