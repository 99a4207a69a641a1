from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.scenario import (
    Expectation,
    SceneFiles,
    SynthScene,
    load_scenario,
    read_scenario,
    scenario_names,
)

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
