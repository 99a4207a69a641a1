"""The plugin as another team meets it: the example project's tests, and failures that say what happened."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PLUGIN = ("-p", "bnnpan_sim.pytest_plugin", "-p", "no:cacheprovider")


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-rs", *PLUGIN, *arguments]
    variables = os.environ | {"BNNPAN_AARCH64": str(folder / "no-level-2")}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)


@pytest.fixture
def example(repo_root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(repo_root / "docs" / "ci-example", tmp_path / "example"))


def test_the_example_project_passes_and_says_what_it_skips(example: Path) -> None:
    result = run_pytest(example)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "3 passed, 1 skipped" in result.stdout
    assert "run `bnnpan sim setup --level 2`" in result.stdout


TEST = """
import sys
import pytest

@pytest.mark.board("pi-zero-2w", memory="48MiB")
def test_too_much(board):
    run = board.run([sys.executable, "-S", "-c", "held = bytearray(b'x') * 2**26"])
    run.assert_succeeded()

@pytest.mark.board("pi-zero-2w")
def test_peak(board):
    board.run([sys.executable, "-S", "-c", "held = bytearray(b'x') * 2**26"]).assert_peak_within("32MiB")

@pytest.mark.board("pi-zero-2w")
def test_not_killed(board):
    board.run([sys.executable, "-S", "-c", "pass"]).assert_killed()

@pytest.mark.board("pi-zero-2w")
def test_message(board):
    board.run(["bnnpan", "inspect", "absent.bnnpan"]).assert_succeeded()

@pytest.mark.board("pi-zero-2w", memory="1GiB")
def test_more_than_the_board_has(board):
    pass

@pytest.mark.board("pi-9")
def test_unknown_board(board):
    pass

def test_no_marker(board):
    pass

@pytest.mark.board("pi-zero-2w")
def test_files(board, tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    board.run([sys.executable, "-S", "-c", "pass"]).assert_same_file(tmp_path / "a", tmp_path / "b")
"""


def test_failures_name_command_board_and_numbers(tmp_path: Path) -> None:
    (tmp_path / "test_ours.py").write_text(TEST)
    result = run_pytest(tmp_path)
    text = result.stdout
    assert "8 failed" in text or "5 failed, 3 errors" in text, text
    for expected in (
        r"on pi-zero-2w, level 1, ended with 137, expected 0: it exceeded 48MiB and was killed by ",
        r"held \S+ at its peak, \S+ more than 32MiB",
        r"was not killed: it needed \S+ of 352MiB",
        r"bnnpan inspect on pi-zero-2w, level 1, ended with 4, expected 0: .*absent\.bnnpan",
        r"pi-zero-2w leaves 352MiB to an application, not 1GiB",
        r"board 'pi-9' is unknown",
        r"the fixture `board` needs a marker",
        r"with sha256 \w{16}, \S+ has \w{16}",
    ):
        assert re.search(expected, text), f"{expected}\n{text}"


def test_an_unused_plugin_imports_nothing_of_ours(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(
        "import sys\ndef test_light():\n"
        "    ours = [name for name in sys.modules if name.startswith(('bnnpan_sim.', 'bnnpan_runtime'))]\n"
        "    assert ours == ['bnnpan_sim.pytest_plugin']\n"
    )
    result = run_pytest(tmp_path)
    assert result.returncode == 0, result.stdout


def test_the_workflow_is_yaml_and_its_commands_exist(example: Path) -> None:
    from bnnpan_sim.cli import command

    workflow = yaml.safe_load((example / ".github" / "workflows" / "boards.yml").read_text())
    steps = workflow["jobs"]["boards"]["steps"]
    lines = [line for step in steps for line in step.get("run", "").splitlines()]
    verbs = {line.split()[2] for line in lines if line.startswith("bnnpan sim")}
    assert verbs == {"setup", "matrix", "campaign", "report"}
    for line in lines:
        if line.startswith("bnnpan sim"):
            verb = command.get_command(None, line.split()[2])  # type: ignore[arg-type]
            assert verb is not None
            options = {name for parameter in verb.params for name in parameter.opts}
            assert set(re.findall(r"--[a-z0-9-]+", line)) <= options
