"""Code on the pages is right as far as can be told without running it, and says why where no test runs it."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest
from code_blocks import ELSEWHERE, RUN, blocks, commands, pages

from bnnpan_runtime.cli import main

SHOWN = ("", "text", "ini", "json", "toml", "yaml")
PARSED_BY_SPHINX = ("{eval-rst}", "{include}", "{toctree}")


@pytest.mark.parametrize("page", pages())
def test_every_block_is_run_or_says_why_not(page: str) -> None:
    for block in blocks(page, "sh", "python"):
        assert page in RUN or block.not_run, f"{page}: nothing runs\n{block.text}"
    for block in blocks(page):
        known = block.language in (*SHOWN, "sh", "python") or block.language.startswith(PARSED_BY_SPHINX)
        assert known, f"{page}: a block of {block.language!r}"


@pytest.mark.parametrize("page", pages())
def test_blocks_of_data_and_of_python_can_be_read(page: str) -> None:
    for block in blocks(page, "toml"):
        tomllib.loads(block.text)
    for block in blocks(page, "json"):
        text = block.text.strip()
        # One value, the member of an object, or a value per line.
        for value in (
            [f"{{{text}}}"] if text.startswith('"') else text.splitlines() if "\n{" in text else [text]
        ):
            json.loads(value)
    for block in blocks(page, "ini"):
        configparser.ConfigParser(interpolation=None).read_string(block.text)
    for block in blocks(page, "python"):
        compile(block.text, page, "exec")


@pytest.mark.parametrize("page", pages())
def test_every_command_on_a_page_and_its_options_exist(page: str) -> None:
    for line in commands(page):
        if problem := unknown_in(line):
            pytest.fail(f"{page}: {line}\n{problem}")


@pytest.mark.parametrize("page", ELSEWHERE)
def test_the_test_that_runs_a_page_reads_it(repo_root: Path, page: str) -> None:
    assert Path(page).name in (repo_root / ELSEWHERE[page]).read_text()


def test_a_wrong_command_or_option_is_found() -> None:
    assert unknown_in("bnnpan fuse --pan a --budget 1") == "fuse has no --budget"
    assert unknown_in("bnnpan sim fly") == "sim has no command fly"
    assert unknown_in("bnnpan -v sim run FILE --json") is None


def unknown_in(line: str) -> str | None:
    """What is wrong with a command line of `bnnpan`; None if every name in it is known here."""
    words = shlex.split(re.split(r"[;|>] |…", line)[0], comments=True)[1:]
    command: click.Command = main
    for word in words:
        if word == "--":  # what follows is another command's
            return None
        options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        if word.startswith("-") and not re.fullmatch(r"-[\d.].*|-", word):
            if word.partition("=")[0] not in options | {"--help", "-h"}:
                return f"{command.name} has no {word}"
        elif isinstance(command, click.Group):
            if not re.fullmatch(r"[a-z][a-z-]*", word):
                return None  # a placeholder such as COMMAND
            try:
                found = command.get_command(click.Context(command), word)
            except click.UsageError:  # of a part that is not installed here
                return None
            if found is None:
                return f"{command.name} has no command {word}"
            command = found
    return None
