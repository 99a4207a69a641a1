"""Faults: judged by bytes, repeatable by seed, and tried on the real runtime."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tracing import require_tracing

from bnnpan_sim.cli import command
from bnnpan_sim.faults.bits import flip_file, flip_memory, grow, truncate
from bnnpan_sim.faults.campaign import Campaign
from bnnpan_sim.faults.kinds import KINDS
from bnnpan_sim.faults.outcome import BAD, OUTCOMES, Attempt, classify
from bnnpan_sim.faults.plans import plan
from bnnpan_sim.faults.trace import call_counts
from bnnpan_sim.scenes import SynthScene, scene_files

RIGHT, WRONG = "a" * 64, "b" * 64
SUCCESS, KILLED = Attempt(0, "", RIGHT), Attempt(-9, "", None)
COUNTS = {"pread64": 200, "read": 40, "write": 20, "fsync": 2, "rename": 1, "openat": 30}


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        (SUCCESS, None, "harmless"),
        (Attempt(0, "", WRONG), None, "silent"),
        (Attempt(0, "", None), None, "silent"),
        (Attempt(None, "", None), None, "hang"),
        (KILLED, SUCCESS, "recovered"),
        (KILLED, Attempt(0, "", WRONG), "silent"),
        (KILLED, Attempt(None, "", None), "hang"),
        (KILLED, Attempt(4, "damaged", None), "refused"),
        (KILLED, Attempt(4, "damaged", RIGHT), "refused"),
        (KILLED, Attempt(4, "damaged", WRONG), "silent"),
        (KILLED, Attempt(1, "Traceback", None), "detected"),
        (Attempt(-9, "", RIGHT), SUCCESS, "recovered"),
        (Attempt(6, "full", WRONG), SUCCESS, "silent"),
    ],
)
def test_outcomes_follow_from_exit_codes_and_bytes(
    first: Attempt, second: Attempt | None, outcome: str
) -> None:
    assert classify(first, second, RIGHT, None)[0] == outcome
    assert outcome in OUTCOMES


def test_the_product_of_a_damaged_input_is_faithful_and_of_a_sound_one_silent() -> None:
    assert classify(Attempt(0, "", WRONG), None, RIGHT, WRONG)[0] == "faithful"
    assert classify(Attempt(0, "", WRONG), None, RIGHT, "c" * 64)[0] == "silent"


@given(st.sampled_from(sorted(KINDS)), st.integers(0, 10**6))
def test_a_seed_gives_the_same_fault_and_calls_that_exist(kind: str, seed: int) -> None:
    first, second = (plan(kind, random.Random(f"{kind} {seed}"), COUNTS) for _ in range(2))
    assert (first.said, first.injections) == (second.said, second.injections)
    for injection in first.injections:
        assert 1 <= int(injection.when.partition("+")[0]) <= COUNTS[injection.call]


def test_a_flipped_file_differs_in_its_bits_and_keeps_its_time(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    before = path.stat().st_mtime_ns
    flip_file(path, 1, random.Random(1))
    assert sum(byte.bit_count() for byte in path.read_bytes()) == 1
    assert path.stat().st_mtime_ns == before


def test_a_scene_grows_and_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    grow(path, random.Random(1))
    assert path.stat().st_size > 1000
    truncate(path, random.Random(1))
    assert path.stat().st_size < 70_000


def test_memory_of_a_running_process_is_flipped() -> None:
    program = "held = bytes(2**24); print(end='', flush=True); input(); print(len(held) - held.count(0))"
    process = subprocess.Popen(
        [sys.executable, "-c", f"print('ready', flush=True); {program}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdin is not None
    process.stdout.readline()
    try:
        said = flip_memory(process.pid, 3, random.Random(4))
    except PermissionError as error:
        pytest.skip(f"memory of a child cannot be written here: {error}")
    finally:
        process.kill()
        process.communicate()
    assert said.count(" in ") >= 1


def test_calls_are_counted_for_the_thread_with_most_of_them() -> None:
    text = '1 read(3, "", 1) = 0\n1 read(3, "", 1) = 0\n2 read(3, "", 1) = 0\n2 futex(0) = 0\n'
    assert call_counts(text) == {"read": 2}


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    require_tracing()
    work = tmp_path_factory.mktemp("campaign")
    scene = scene_files(SynthScene(128, seed=1), work / "scenes")
    with Campaign(scene, ["--memory", "160MiB"], work) as made:
        yield made


@pytest.mark.parametrize(
    ("kind", "allowed"),
    [
        ("kill", {"recovered", "harmless"}),
        ("flip-bundle", {"refused", "harmless"}),
        ("flip-scene", {"harmless", "faithful", "refused"}),
        ("slow", {"harmless"}),
        ("thermal", {"harmless"}),
    ],
)
def test_a_fault_ends_well(campaign: Campaign, kind: str, allowed: set[str]) -> None:
    trial = campaign.trial(kind, 1, 0)
    assert trial.outcome in allowed, trial
    assert trial.repeat.endswith(f"--kinds {kind} --seed 1 --only 0")


def test_the_same_seed_does_the_same_again(campaign: Campaign) -> None:
    first, second = (campaign.trial("flip-memory", 5, 2) for _ in range(2))
    assert (first.planned, first.done, first.outcome) == (second.planned, second.done, second.outcome)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_takes_place_and_ends_well(campaign: Campaign, kind: str) -> None:
    trials = [campaign.trial(kind, 11, index) for index in range(3)]
    assert any(trial.done for trial in trials)
    assert not [trial for trial in trials if trial.outcome in BAD], trials


def test_the_command_prints_a_table_and_writes_its_json(tmp_path: Path) -> None:
    require_tracing()
    out = tmp_path / "faults.json"
    arguments = ["--faults", "2", "--kinds", "flip-bundle,kill", "--size", "128", "--memory", "160MiB"]
    result = CliRunner().invoke(command, ["campaign", *arguments, "--work", str(tmp_path), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "2 faults" in result.output
    value = json.loads(out.read_text())
    assert [trial["kind"] for trial in value["trials"]] == ["flip-bundle", "kill"]
    assert f"--size 128 --memory {160 * 2**20}" in value["trials"][0]["repeat"]


def test_an_unknown_kind_is_named() -> None:
    result = CliRunner().invoke(command, ["campaign", "--kinds", "gremlin"])
    assert result.exit_code == 2
    assert "'gremlin' is no kind of fault" in result.output
