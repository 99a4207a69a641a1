"""Finding one's way: every command is listed under its task, shows an example, and completes in a shell."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from requirements import program

from bnnpan_runtime.cli import main
from bnnpan_runtime.cli.group import GROUND_COMMANDS, TASKS


def all_commands(
    command: click.Command, words: tuple[str, ...] = ("bnnpan",)
) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, those of installed plug-ins too, by what is typed to call them."""
    yield " ".join(words), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from all_commands(found, (*words, name))


COMMANDS = dict(all_commands(main))


def help_of(words: str) -> str:
    result = CliRunner().invoke(main, [*words.split()[1:], "--help"])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_shows_an_example_of_itself(words: str):
    text = help_of(words)
    _, _, example = text.replace("Examples:", "Example:").partition("Example:\n")
    assert f"    {words}" in example.partition("Options:")[0], text


@pytest.mark.parametrize("words", COMMANDS)
def test_every_option_says_what_it_is_for(words: str):
    options = (item for item in COMMANDS[words].params if isinstance(item, click.Option) and not item.hidden)
    assert not [item.name for item in options if not item.help]


def test_help_lists_every_installed_command_under_its_task():
    text = help_of("bnnpan")
    installed = main.list_commands(click.Context(main))
    for heading, names in TASKS.items():
        section = text.partition(f"\n{heading}:\n")[2].partition("\n\n")[0]
        listed = [line.split()[0] for line in section.splitlines()]
        assert listed == [name for name in names if name in installed], heading
    assert "Plug-ins" not in text, "a command of ours without a task"


def test_the_ground_side_has_the_commands_that_the_runtime_tells_of(repo_root: Path):
    project = tomllib.loads((repo_root / "pyproject.toml").read_text())["project"]
    assert set(project["entry-points"]["bnnpan.commands"]) == set(GROUND_COMMANDS)
    assert set(GROUND_COMMANDS.values()) <= set(project["optional-dependencies"])
    assert set(GROUND_COMMANDS) <= {name for names in TASKS.values() for name in names}


def test_without_the_ground_side_help_says_what_is_not_installed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bnnpan_runtime.cli.group.plugins", lambda group: {})
    text = " ".join(help_of("bnnpan").split())
    assert "Train:" not in text
    assert f"Not installed: {', '.join(GROUND_COMMANDS)}: `bnnpan doctor` says how" in text
    refused = CliRunner().invoke(main, ["train", "--config", "c.toml"])
    assert refused.exit_code == 2 and "install bnnpan[train]" in refused.stderr


def test_a_plugin_of_somebody_else_is_listed(monkeypatch: pytest.MonkeyPatch):
    plugin = EntryPoint("theirs", "bnnpan_runtime.cli.doctor:command", "bnnpan.commands")
    monkeypatch.setattr("bnnpan_runtime.cli.group.plugins", lambda group: {"theirs": plugin})
    assert "\nPlug-ins:\n  theirs " in help_of("bnnpan")


def test_a_command_that_is_mistyped_is_guessed():
    result = CliRunner().invoke(main, ["fues"])
    assert result.exit_code == 2 and "Did you mean 'fuse'?" in result.stderr


@pytest.fixture(scope="module")
def bash_session(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """bash, and an environment whose `bnnpan` is the one under test."""
    folder = tmp_path_factory.mktemp("bin")
    script = folder / "bnnpan"
    script.write_text(f"#!{sys.executable}\nfrom bnnpan_runtime.cli import main\nmain()\n")
    script.chmod(0o755)
    paths = os.pathsep.join(filter(None, sys.path))
    return program("bash"), {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": paths,
    }


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("bnnpan fu", {"fuse"}),
        ("bnnpan bundle ", {"apply", "diff", "join", "split"}),
        ("bnnpan fuse --mem", {"--memory"}),
        ("bnnpan fuse --backend ", {"native", "onnx", "tflite", "classical"}),
        ("bnnpan --ver", {"--version"}),
    ],
)
def test_bash_completes_what_is_typed(
    bash_session: tuple[str, dict[str, str]], typed: str, completed: set[str]
):
    """The line that the documentation wants in ~/.bashrc, then what bash does for a tabulator."""
    bash, variables = bash_session
    words = typed.split(" ")
    line = f"""
    set -e
    eval "$(_BNNPAN_COMPLETE=bash_source bnnpan)"
    COMP_WORDS=({" ".join(repr(word) for word in words)}) COMP_CWORD={len(words) - 1}
    _bnnpan_completion bnnpan {words[-1]!r}
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    result = subprocess.run([bash, "-c", line], env=variables, capture_output=True, text=True)
    assert result.returncode == 0 and not result.stderr, result.stderr
    assert completed <= set(result.stdout.split())
