from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.scenario import (
    Expectation,
    Slowness,
    WantedFault,
    load_scenario,
    read_scenario,
    scenario_names,
)
from bnnpan_sim.scenes import SceneFiles, SynthScene

MIB = 2**20
SCENARIO = """
board = "pi-zero-2w"
memory = "128MiB"
bundle = "bgrn-x4"

[scene]
pan = "pan.tif"
ms = "ms.tif"
"""


def test_the_scenarios_of_the_package_can_be_read() -> None:
    assert scenario_names() == ["pi-zero-2w-128mib", "pi-zero-2w-over-budget"]
    good, bad = (load_scenario(name) for name in scenario_names())
    assert good.limit_bytes == good.budget_bytes == 128 * MIB
    assert good.scene == SynthScene(size=2048, seed=1)
    assert good.expect == Expectation()
    assert bad.limit_bytes < bad.budget_bytes
    assert bad.expect.killed


def test_a_board_enforces_all_it_leaves_unless_told_otherwise(write: Callable[[str, str], Path]) -> None:
    scenario = read_scenario(write("small.toml", SCENARIO))
    assert (scenario.name, scenario.budget_bytes) == ("small", 128 * MIB)
    assert scenario.limit_bytes == scenario.board.application_bytes == 352 * MIB
    assert scenario.expect == Expectation(exit_code=0, killed=False, product=True, peak_within_budget=True)


def test_paths_are_relative_to_the_scenario(write: Callable[[str, str], Path], tmp_path: Path) -> None:
    bundle = write("own.bnnpan", "")
    board = write(
        "own.toml", "title='t'\ncpu='c'\ncores=1\nfeatures=[]\nram_mib=300\nos_share_mib=100\nstorage='s'"
    )
    text = SCENARIO.replace("bgrn-x4", bundle.name).replace("pi-zero-2w", board.name)
    scenario = read_scenario(write("scenario.toml", text))
    assert scenario.bundle == str(bundle)
    assert scenario.board.name == "own"
    assert scenario.scene == SceneFiles(tmp_path / "pan.tif", tmp_path / "ms.tif")


def test_a_run_that_is_to_be_killed_leaves_no_product(write: Callable[[str, str], Path]) -> None:
    scenario = read_scenario(write("killed.toml", SCENARIO + "[expect]\nkilled = true\n"))
    assert scenario.expect == Expectation(exit_code=137, killed=True, product=False, peak_within_budget=None)


def test_limits_faults_and_expectations_are_read(write: Callable[[str, str], Path]) -> None:
    head = SCENARIO.replace("[scene]", 'level = 2\narguments = ["--tile", "64"]\n[scene]')
    text = (
        head
        + """
[limits]
cpu_percent = 40
storage = "board"
disk = "64MiB"
[[faults]]
kind = "kill"
seed = 5
count = 2
[expect]
deadline_seconds = 60
events = ["started", "finished"]
outcomes = ["recovered"]
"""
    )
    scenario = read_scenario(write("full.toml", text))
    assert (scenario.level, scenario.arguments) == (2, ("--tile", "64"))
    assert scenario.slowness == Slowness(40, True, 64 * MIB)
    assert scenario.faults == (WantedFault("kill", 5, 2),)
    assert scenario.expect.deadline_seconds == 60
    assert scenario.expect.events == ("started", "finished")
    assert scenario.expect.outcomes == ("recovered",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"128MiB"', '"128MiB"\nspeed = 1'), "unknown key 'speed'"),
        (('pan = "pan.tif"', 'pan = "pan.tif"\nfar = 1'), "[scene]: unknown key 'far'"),
        (('memory = "128MiB"', ""), "'memory' is missing"),
        (('"128MiB"', "128"), "'memory' is 128, but must be text"),
        (('"128MiB"', '"lots"'), "'memory': 'lots' is not a size"),
        (('ms = "ms.tif"', ""), "[scene]: 'ms' is missing"),
        (('ms = "ms.tif"', "[scene.synth]\nsize = 64"), "[scene]: unknown key 'pan'"),
        (('"128MiB"', '"128MiB"\nmemory_limit = "1GiB"'), "is more than the 352MiB that pi-zero-2w leaves"),
        (('"pi-zero-2w"', '"pi-9"'), "board 'pi-9' is unknown"),
        (("[scene]", "level = 4\n[scene]"), "'level' is 4, but must be one of (1, 2, 3)"),
        (("[scene]", "[limits]\ncpu_percent = 0\n[scene]"), "'cpu_percent' is 0, but must be 1 to 100"),
        (("[scene]", "[limits]\nstorage = 'fast'\n[scene]"), "must be 'board' or absent"),
        (("[scene]", "[[faults]]\nkind = 'gremlin'\n[scene]"), "'kind' is 'gremlin'; known are kill"),
        (("[scene]", "[faults]\nkind = 'kill'\n[scene]"), "'faults' is {'kind': 'kill'}, but must be a list"),
    ],
)
def test_a_wrong_scenario_is_refused(
    write: Callable[[str, str], Path], change: tuple[str, str], message: str
) -> None:
    path = write("wrong.toml", SCENARIO.replace(*change))
    with pytest.raises(ConfigError) as caught:
        read_scenario(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_scenario_is_refused_with_those_that_exist() -> None:
    with pytest.raises(ConfigError, match="one of: pi-zero-2w-128mib"):
        load_scenario("moon")
