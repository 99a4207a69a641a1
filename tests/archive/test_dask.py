"""Archives on a Dask cluster whose scheduler and workers are processes of their own, some of them killed."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

import bnnpan_runtime

from .clusters import cluster
from .conftest import Outcome, run, write_scenes


def fused_on(workers: int, kill_after: tuple[int, ...], scenes: Path, folder: Path) -> Outcome:
    """The scenes fused by a cluster; as often as that many are done, a worker is killed in the middle."""
    with cluster(folder, workers) as running:

        def kill() -> None:
            for done in kill_after:
                while len(list((folder / "out").glob("*/result.json"))) < done:
                    time.sleep(0.05)
                running.kill_a_busy_worker()

        killing = threading.Thread(target=kill, daemon=True)
        killing.start()
        outcome = run(scenes, folder / "out", "--no-quality", "--scheduler", running.address)
        killing.join()
        assert sum(worker.poll() is not None for worker in running.workers) == len(kill_after)
    return outcome


def hashes(outcome: Outcome) -> dict[str, str]:
    return {name: result["product_sha256"] for name, result in outcome.results().items()}


def test_a_killed_worker_loses_nothing(tmp_path: Path):
    scenes = write_scenes(tmp_path / "scenes", 6)
    outcome = fused_on(2, (2,), scenes, tmp_path)
    assert outcome.exit_code == 0 and len(hashes(outcome)) == 6
    alone = tmp_path / "alone.tif"
    for name, digest in hashes(outcome).items():
        scene = scenes / name
        report = bnnpan_runtime.fuse(
            scene / "pan.tif", scene / "ms.tif", "bgrn-x4", alone, memory="4GiB", overwrite=True
        )
        assert report.product_sha256 == digest


@pytest.mark.exhaustive
def test_forty_scenes_with_two_workers_killed_are_those_of_a_local_run(tmp_path: Path):
    scenes = write_scenes(tmp_path / "scenes", 40)
    outcome = fused_on(4, (8, 20), scenes, tmp_path)
    assert outcome.exit_code == 0 and len(hashes(outcome)) == 40
    assert hashes(outcome) == hashes(run(scenes, tmp_path / "local", "--no-quality", "--workers", "2"))


def test_a_cluster_that_is_not_there_is_refused(tmp_path: Path):
    scenes = write_scenes(tmp_path / "scenes", 1)
    outcome = run(scenes, tmp_path / "out", "--scheduler", "dask://127.0.0.1:9")
    assert outcome.exit_code == 9 and "no Dask scheduler answers" in outcome.message
