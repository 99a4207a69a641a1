"""What a run leaves for people: metrics, pictures and TensorBoard's event files."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from tiny_training import BGRN, TINY, NoisePatches, write_imagery, write_items

from bnnpan.config import StageConfig
from bnnpan.data.pairs import Pair, load_pairs
from bnnpan.training import train
from bnnpan.training.validation import Validation, side_by_side

WATCHED = replace(TINY, training=replace(TINY.training, tensorboard=True))


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    folder = tmp_path / "data"
    folder.mkdir()
    return load_pairs(write_items(folder, [write_imagery(folder, "noise")]), "train")[0]


def test_every_validation_gives_scores_and_a_picture(tmp_path: Path, pair: Pair):
    run = tmp_path / "run"
    train(TINY, NoisePatches(), run, provenance={}, validate=Validation([pair]))
    names = sorted(path.name for path in (run / "pictures").iterdir())
    assert names == ["stage-I-000012.png", "stage-III-000006.png"]
    with rasterio.open(run / "pictures" / names[0]) as picture:
        assert (picture.count, picture.height, picture.width) == (3, 72, 3 * 72 + 12)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [set(line.get("validation", {})) for line in lines][::2] == [
        {"relative_ergas", "SAM", "ERGAS"}
    ] * 2
    assert all(line["rate"] > 0 for line in lines)


def test_validation_comes_at_the_step_it_was_asked_for(tmp_path: Path, pair: Pair):
    often = replace(TINY, training=replace(TINY.training, validate_every=5))
    train(often, NoisePatches(), tmp_path, provenance={}, validate=Validation([pair]))
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    judged = [(line["stage"], line["step"]) for line in lines if "validation" in line]
    assert judged == [("I", 5), ("I", 10), ("I", 12), ("III", 5), ("III", 6)]


def test_picture_shows_lms_fused_and_truth_in_true_colour(pair: Pair):
    picture = side_by_side(pair, pair.gt)
    width = pair.gt.shape[2]
    lms, fused, truth = (
        picture[:, :, :width],
        picture[:, :, width + 6 : 2 * width + 6],
        picture[:, :, -width:],
    )
    assert np.array_equal(fused, truth) and not np.array_equal(lms, truth)
    red = pair.gt[BGRN.index("red")]
    assert truth[0][red == red.max()].min() == 255 and truth[0][red == red.min()].max() == 0


def event_steps(run: Path, tag: str) -> list[int]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return [event.step for event in events.Scalars(tag)]


def test_event_files_hold_what_metrics_hold(tmp_path: Path, pair: Pair):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    run = tmp_path / "run"
    train(WATCHED, NoisePatches(), run, provenance={}, validate=Validation([pair]))
    assert event_steps(run, "stage I/loss") == [12]
    assert event_steps(run, "stage III/rate") == event_steps(run, "stage III/loss") == [26]
    assert event_steps(run, "validation/ERGAS") == [12, 26]


def test_resumed_run_writes_no_event_twice(tmp_path: Path):
    pytest.importorskip("tensorboard", reason="the extra `tensorboard` is not installed")
    few = replace(WATCHED.training, stage_one=StageConfig(160, batch=2), checkpoint_every=70)
    experiment = replace(WATCHED, training=few)

    class Interrupted(NoisePatches):
        def sample(self, batch: int):
            if self.position == 110:
                raise KeyboardInterrupt
            return super().sample(batch)

    with pytest.raises(KeyboardInterrupt):
        train(experiment, Interrupted(), tmp_path / "run", provenance={})
    train(experiment, NoisePatches(), tmp_path / "run", provenance={}, resume=True)
    assert event_steps(tmp_path / "run", "stage I/loss") == [50, 100, 150, 160]


def test_training_goes_on_without_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)  # as if it could not be imported
    with caplog.at_level(logging.WARNING):
        train(WATCHED, NoisePatches(), tmp_path / "run", provenance={})
    assert [record.message for record in caplog.records] == [
        "no event files: TensorBoard is not installed; pip install 'bnnpan[tensorboard]'"
    ]
    assert (tmp_path / "run" / "model.safetensors").exists()
