"""What `bnnpan doctor` says is missing for each role."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bnnpan_runtime.cli import main
from bnnpan_runtime.roles import ROLES, Need, examine_role

EXTRAS = {"train": "train", "export": "export", "simulate": "sim", "archive": "archive"}
"""Role -> the extra of the ground side's distribution that brings its packages."""


def project(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(path.read_text())["project"]
    return found


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}


def packages(role: str, *, optional: bool) -> set[str]:
    needs = (need for need in ROLES[role].needs if need.optional == optional and need.program_of is None)
    return {need.name for need in needs}


@pytest.mark.parametrize("role", EXTRAS)
def test_a_role_of_the_ground_side_needs_what_its_extra_brings(role: str, repo_root: Path):
    extras = project(repo_root / "pyproject.toml")["optional-dependencies"]
    brought, required = names(extras[EXTRAS[role]]), packages(role, optional=False)
    assert required <= {"bnnpan"} | brought <= required | packages(role, optional=True)
    assert f".[{EXTRAS[role]}]" in ROLES[role].install


def test_flying_needs_what_the_runtime_depends_on(repo_root: Path):
    runtime = project(repo_root / "runtime" / "pyproject.toml")
    assert packages("fly", optional=False) == names(runtime["dependencies"])
    assert packages("fly", optional=True) == names(runtime["optional-dependencies"]["tflite"])


def test_what_is_missing_comes_with_the_command_that_brings_it():
    absent = Need("no-such-package", "nothing")
    program = Need("no-such-program", "nothing", program_of="some-package", optional=True)
    role = replace(ROLES["fly"], needs=(Need("numpy", "arrays"), absent, program))
    report = examine_role(role)
    assert not report.ready and set(report.found) == {"numpy"}
    assert [need.get for need in report.missing] == ["pip install ./runtime", "apt-get install some-package"]
    assert examine_role(replace(role, needs=(program,))).ready, "without what is optional"


def test_nothing_is_wanted_that_there_is_only_for_another_processor():
    report = examine_role(ROLES["export"], processor="aarch64")
    assert not {"larq", "tensorflow"} & ({*report.found} | {need.name for need in report.missing})


def test_doctor_tells_each_command_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Need, "found", lambda need: None if need.name in ("torch", "scipy") else "1")
    monkeypatch.setattr("bnnpan_runtime.doctor.BACKENDS", ())  # their self-tests take seconds
    text = CliRunner().invoke(main, ["doctor"]).stdout
    train = text.partition("\n  train ")[2].partition("\n  export ")[0]
    assert "not ready: train and evaluate networks" in train
    assert "missing              torch, scipy" in train
    assert train.count("get it by: pip install -c constraints.txt ./runtime '.[train]'") == 1
