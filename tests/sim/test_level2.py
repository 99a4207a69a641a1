"""Level 2 without emulation: what was prepared is found, what was not is named; see tests/wheels as well."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bnnpan_runtime.errors import ConfigError
from bnnpan_sim.aarch64.board_files import write_board_files
from bnnpan_sim.aarch64.environment import Environment
from bnnpan_sim.aarch64.level2 import Level2, glibc_minors, load
from bnnpan_sim.board import load_board
from bnnpan_sim.cli import command


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BNNPAN_AARCH64", str(tmp_path))
    return tmp_path


@pytest.fixture
def prepared(cache: Path) -> Level2:
    packages = cache / "environment" / "packages"
    for name, tag in (("rasterio-1.4.4", "manylinux_2_28"), ("numpy-2.2.6", "manylinux_2_17")):
        info = packages / f"{name}.dist-info"
        info.mkdir(parents=True)
        (info / "WHEEL").write_text(f"Wheel-Version: 1.0\nTag: cp311-cp311-{tag}_aarch64\n")
    (cache / "environment" / "system" / "usr").mkdir(parents=True)
    return Level2(Environment(cache / "environment", "qemu-aarch64"), cache / "ours", "ours.whl", "0" * 64)


def test_a_level_that_was_not_prepared_is_refused_with_the_cure() -> None:
    with pytest.raises(ConfigError, match="run `bnnpan sim setup --level 2`"):
        load()
    arguments = ["run", "pi-zero-2w-128mib", "--level", "2"]
    assert getattr(CliRunner().invoke(command, arguments).exception, "exit_code", None) == 9


def test_a_preparation_that_is_gone_is_noticed(cache: Path) -> None:
    record = {
        "environment": str(cache / "a"),
        "packages": str(cache / "b"),
        "wheel": "w",
        "wheel_sha256": "0",
    }
    (cache / "level2.json").write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="is gone"):
        load()


def test_a_board_whose_system_is_too_old_for_a_wheel_is_told_so(prepared: Level2) -> None:
    assert glibc_minors(prepared.environment.folder / "packages") == {"rasterio": 28, "numpy": 17}
    (_, note) = prepared.notes(load_board("jetson-nano-4g"))
    assert note == "rasterio needs glibc 2.28, the system of jetson-nano-4g has 2.27"
    assert len(prepared.notes(load_board("pi-zero-2w"))) == 1


def test_the_emulator_gets_the_boards_core_and_files(prepared: Level2) -> None:
    board = load_board("pi-zero-2w")
    words = prepared.command(["doctor"], board)
    assert words[words.index("-cpu") + 1] == "cortex-a53"
    assert words[-3:] == ["-m", "bnnpan_runtime", "doctor"]
    prefix = Path(words[words.index("-L") + 1])
    assert (prefix / "usr").resolve() == prepared.environment.folder / "system" / "usr"
    assert "CPU part\t: 0xd03" in (prefix / "proc" / "cpuinfo").read_text()
    assert prepared.command([], board)[2] == str(prefix)


def test_board_files_say_what_the_profile_says(tmp_path: Path) -> None:
    board = load_board("jetson-orin-nano-8g")
    assert board.processor is not None
    write_board_files(tmp_path, board, board.processor)
    cpuinfo = (tmp_path / "proc" / "cpuinfo").read_text()
    assert cpuinfo.count("processor\t:") == 6 and "asimddp" in cpuinfo
    assert "8388608 kB" in (tmp_path / "proc" / "meminfo").read_text()
    cpu = tmp_path / "sys" / "devices" / "system" / "cpu" / "cpu5"
    assert (cpu / "cpufreq" / "cpuinfo_max_freq").read_text() == "1500000\n"
    assert (cpu / "cache" / "index2" / "size").read_text() == "256K\n"


def test_a_board_without_an_emulated_core_is_refused(prepared: Level2, tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("title='t'\ncpu='c'\ncores=1\nfeatures=[]\nram_mib=300\nos_share_mib=100\nstorage='s'")
    with pytest.raises(ConfigError, match="level 2 needs 'qemu_cpu'"):
        prepared.command(["doctor"], load_board(str(path)))


def test_a_wheel_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.whl"
    path.write_text("no wheel")
    result = CliRunner().invoke(command, ["setup", "--level", "2", "--wheel", str(path)])
    assert getattr(result.exception, "exit_code", None) == 9
    assert "not a wheel" in str(result.exception)
