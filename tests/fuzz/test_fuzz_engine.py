"""The C entry points under hostile arguments: error codes, never a crash, nothing touched but the buffers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import native_builds
import pytest
from native_builds import SANITIZED, vocabulary

HERE = Path(__file__).parent
REPLAY, CORPUS = HERE / "replay.c", HERE / "corpus"
TARGET = [*sorted(HERE.glob("fuzz_*.c")), native_builds.NATIVE / "bench" / "stages.c"]
"""The target itself and what else of the library it calls."""


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The target with sanitizers, over the portable kernels; quick to build rather than to run."""
    target = tmp_path_factory.mktemp("fuzz") / "replay"
    return native_builds.build(native_builds.compiler(), target, "-O0", *SANITIZED, drivers=[*TARGET, REPLAY])


def counts(replay: Path, *arguments: str | Path) -> dict[str, int]:
    printed = native_builds.output_of(replay, *arguments)
    return {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", printed)}


def run_random(replay: Path, inputs: int, seed: int, kept: Path) -> None:
    """Random inputs, a good part of which must get past the checks of the engine."""
    result = counts(replay, "--random", str(inputs), str(seed), kept)
    assert result["inputs"] == inputs
    assert result["models"] > inputs / 2 and result["done"] > inputs and result["refused"] > inputs / 2


def test_the_corpus_is_survived(replay: Path) -> None:
    files = sorted(CORPUS.iterdir())
    assert counts(replay, *files)["inputs"] == len(files) > 0


def test_random_inputs_are_survived(replay: Path, tmp_path: Path) -> None:
    run_random(replay, 500, 1, tmp_path / "last")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "inputs"), [("portable", 5000), ("avx2", 5000), ("neon", 5000), ("avx512", 1000)]
)
def test_random_inputs_are_survived_by_every_vocabulary(name: str, inputs: int, tmp_path: Path) -> None:
    options = (*vocabulary(name), "-O1", *SANITIZED)
    replay = native_builds.build(
        native_builds.compiler(), tmp_path / "replay", *options, drivers=[*TARGET, REPLAY]
    )
    assert counts(replay, *sorted(CORPUS.iterdir()))["done"] > 0
    run_random(replay, inputs, 2, tmp_path / "last")


@pytest.mark.slow
def test_a_minute_of_fuzzing_finds_nothing(tmp_path: Path) -> None:
    """From the corpus on, guided by coverage. `BNNPAN_FUZZ_SECONDS` fuzzes longer."""
    clang = native_builds.program("clang")
    options = ["-O1", *SANITIZED, "-fsanitize=fuzzer"]
    target = native_builds.build(clang, tmp_path / "fuzz", *options, drivers=TARGET)
    corpus = tmp_path / "corpus"
    shutil.copytree(CORPUS, corpus)
    seconds = os.environ.get("BNNPAN_FUZZ_SECONDS", "60")
    limits = [f"-max_total_time={seconds}", "-timeout=30", "-rss_limit_mb=2048", "-max_len=200"]
    command = [str(target), *limits, f"-artifact_prefix={tmp_path}/", str(corpus)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-4000:]
