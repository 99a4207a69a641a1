"""What the archive tells `bnnpan fuse`."""

from __future__ import annotations

from dataclasses import replace

import click
import pytest

from bnnpan_archive.command import check_arguments, fuse_line, shown
from bnnpan_archive.job import Job, Options
from bnnpan_archive.scene import Scene
from bnnpan_runtime.errors import BundleError

OPTIONS = Options("bgrn-x4", 128 << 20, 1, (), "/work", True)
JOB = Job(Scene("a", "/p.tif", ("/b.tif", "/g.tif"), ("blue", "green"), 96 << 20), OPTIONS, "/out")


def value_after(line: list[str], word: str) -> str:
    return line[line.index(word) + 1]


def test_a_scene_has_its_own_budget_and_bands():
    line = fuse_line(JOB)
    assert value_after(line, "--memory") == "96MiB" and value_after(line, "--bands") == "blue,green"
    assert [line[i + 1] for i, word in enumerate(line) if word == "--ms"] == ["/b.tif", "/g.tif"]
    assert value_after(line, "--out") == "/out/a/a.tif"


def test_a_budget_is_never_rounded():
    odd = replace(JOB, scene=replace(JOB.scene, memory_bytes=(96 << 20) + 1))
    assert value_after(fuse_line(odd), "--memory") == str((96 << 20) + 1)


def test_what_the_user_says_of_the_bands_stands():
    said = fuse_line(replace(JOB, options=replace(OPTIONS, arguments=("--bands", "green,blue"))))
    assert said.count("--bands") == 1 and value_after(said, "--bands") == "green,blue"


def test_quality_is_measured_unless_nobody_wants_it():
    assert "--quality" in fuse_line(JOB)
    assert "--quality" not in fuse_line(replace(JOB, options=replace(OPTIONS, score=False)))


@pytest.mark.parametrize(
    "words",
    [
        ("--nonsense",),
        ("--tile", "17"),
        ("stray",),
        ("--out", "x"),
        ("--memory", "1GiB"),
        ("--pan", "x"),
        ("--datetime", "2020-01-01"),
    ],
)
def test_options_that_fuse_would_refuse_or_the_archive_says_are_wrong_usage(words: tuple[str, ...]):
    with pytest.raises(click.UsageError):
        check_arguments("bgrn-x4", words)


def test_a_bundle_must_be_there_where_it_is_needed():
    check_arguments("bgrn-x4", ())
    check_arguments("none", ("--backend", "classical"))
    check_arguments("none", ("--fallback",))
    with pytest.raises(BundleError):
        check_arguments("none", ("--backend", "native"))


def test_a_shown_command_can_be_pasted():
    assert shown(["fuse", "--pan", "a b.tif"], "/my work") == "cd '/my work' && bnnpan fuse --pan 'a b.tif'"
