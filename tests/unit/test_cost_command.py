from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from bnnpan.cli.cost import command
from bnnpan.config import load_experiment
from bnnpan.model.cost import network_cost


def test_networks_are_counted_in_one_table(repo_root: Path) -> None:
    paths = [str(repo_root / path) for path in ("configs/bgrn-x4.toml", "models/bgrn-x4")]
    lines = CliRunner().invoke(command, [*paths, "--size", "64"]).output.splitlines()
    assert lines[0].startswith("| 64 x 64 |") and len(lines) == 4
    assert all(path in line for path, line in zip(paths, lines[2:], strict=True))


def test_counts_for_scripts(repo_root: Path) -> None:
    path = repo_root / "configs/bgrn-x4-lite.toml"
    found = json.loads(CliRunner().invoke(command, [str(path), "--size", "32", "--json"]).output)[str(path)]
    cost = network_cost(load_experiment(path).model, 32, 32)
    assert found["fusion"]["binary_operations"] == cost.fusion.binary_operations
    assert found["prior"]["real_parameters"] == cost.prior.real_parameters


def test_odd_sizes_are_refused(repo_root: Path) -> None:
    result = CliRunner().invoke(command, [str(repo_root / "configs/bgrn-x4.toml"), "--size", "33"])
    assert result.exit_code == 2 and "odd" in result.output
