"""Every checked-in experiment can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnnpan.config import load_experiment

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_experiment_is_valid(path: Path):
    assert load_experiment(path).training.stage_one.steps > 0
