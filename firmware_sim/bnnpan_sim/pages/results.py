"""Finds and reads what `run`, `matrix` and `campaign` have written."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.faults.campaign import CampaignReport, Trial
from bnnpan_sim.matrix import CellResult
from bnnpan_sim.report import SimReport


@dataclass
class Results:
    """Everything found, in the order of the files' names."""

    runs: list[SimReport] = field(default_factory=list)
    cells: list[CellResult] = field(default_factory=list)
    campaigns: list[CampaignReport] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {
            "runs": [run.to_json() for run in self.runs],
            "cells": [cell.to_json() for cell in self.cells],
            "campaigns": [campaign.to_json() for campaign in self.campaigns],
        }


def read_results(places: Sequence[Path]) -> Results:
    """Results in these files, and in all `*.json` of these folders. Raises ConfigError."""
    results = Results()
    for path in _files(places):
        _add(results, path)
    if not (results.runs or results.cells or results.campaigns):
        named = ", ".join(map(str, places))
        raise ConfigError(f"{named}: no results; they come from `bnnpan sim run --json`, matrix and campaign")
    return results


def _files(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            yield from sorted(place.glob("*.json"))
        else:
            yield place


def _add(results: Results, path: Path) -> None:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON ({error})") from error
    keys = value.keys() if isinstance(value, dict) else set()
    if "trials" in keys:
        results.campaigns.append(_campaign(value, str(path)))
    elif "cell" in keys:
        results.cells.append(CellResult.from_json(value, str(path)))
    elif "scenario" in keys:
        results.runs.append(SimReport.from_json(value, str(path)))
    else:
        raise ConfigError(f"{path}: not a result of `bnnpan sim`; name result files or their folder")


def _campaign(value: dict[str, Any], where: str) -> CampaignReport:
    try:
        trials = tuple(Trial(**{**trial, "left": tuple(trial["left"])}) for trial in value["trials"])
        arguments = tuple(value["arguments"])
        return CampaignReport(value["seed"], arguments, value["product_sha256"], value["start"], trials)
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{where}: not a result of `bnnpan sim campaign` ({error!r})") from error
