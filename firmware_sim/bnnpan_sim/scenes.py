"""The scene of a run: files that exist, or a synthetic scene that is made once and kept."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bnnpan_runtime.errors import OutputError, SceneError


@dataclass(frozen=True)
class SynthScene:
    """A synthetic scene: `size x size` PAN pixels, the same for the same seed."""

    size: int
    seed: int = 0
    bands: int = 4
    ratio: int = 4


@dataclass(frozen=True)
class SceneFiles:
    """A scene that exists."""

    pan: Path
    ms: Path


def scene_files(scene: SceneFiles | SynthScene, cache: Path) -> SceneFiles:
    """Paths of the scene; a synthetic one is looked for in `cache` first. Raises SceneError, OutputError."""
    if isinstance(scene, SceneFiles):
        return scene
    folder = cache / f"synth-{scene.size}-{scene.bands}x{scene.ratio}-{scene.seed}"
    if not folder.is_dir():
        make_folder(cache)
        _synthesise(scene, folder)
    return SceneFiles(folder / "pan.tif", folder / "ms.tif")


def make_folder(folder: Path) -> None:
    """The folder, with those above it. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}; choose another folder with --work") from error


def _synthesise(scene: SynthScene, folder: Path) -> None:
    """Make the scene under another name first, so that a folder with the final name is always complete."""
    with tempfile.TemporaryDirectory(prefix="part-", dir=folder.parent) as part:
        unfinished = Path(part) / folder.name
        command = [sys.executable, "-m", "bnnpan_runtime", "scene", "synth", "--size", str(scene.size)]
        command += ["--bands", str(scene.bands), "--ratio", str(scene.ratio)]
        command += ["--seed", str(scene.seed), "--out", str(unfinished)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise SceneError(f"no synthetic scene of {scene.size} pixels: {last_line(result.stderr)}")
        try:
            unfinished.rename(folder)
        except OSError as error:
            if not folder.is_dir():  # else another run has made the same scene in the meantime
                raise OutputError(f"{folder}: {error.strerror}; choose another folder with --work") from error


def last_line(text: str) -> str:
    """What a command said last, without its name."""
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("bnnpan: error: ") if lines else "no message"
