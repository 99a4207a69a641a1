"""What a calibration file may say is checked; whatever is wrong is one clear line."""

from __future__ import annotations

import json
import tomllib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bnnpan_runtime.errors import SceneError
from bnnpan_runtime.radiometry import read_radiometry

GOOD = """
format = 1
[pan]
saturation = 2047
dark = [1, 2, 3, 4.5]
gain = 1.1
dead = [2, 0]
[[ms]]
dark = 8
[[ms]]
gain = [1.0, 0.5]
"""


def test_a_calibration_file_says_what_it_says(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    path.write_text(GOOD)
    radiometry = read_radiometry(path, 4, 2, 2)
    assert radiometry.pan.dark.tolist() == [1, 2, 3, 4.5]
    assert radiometry.pan.gain.tolist() == pytest.approx([1.1] * 4)
    assert radiometry.pan.dead.tolist() == [0, 2]
    assert radiometry.pan.saturation == 2047
    assert [band.dark.tolist() for band in radiometry.ms] == [[8, 8], [0, 0]]
    assert radiometry.ms[1].gain.tolist() == [1, 0.5]
    assert len(radiometry.sha256) == 64


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("format = 1", "format = 2", "format is 2"),
        ("format = 1", "", "format is None"),
        ("[pan]", "[pam]", "unknown key 'pam'"),
        ("dark = 8", "dork = 8", "unknown key 'dork'"),
        ("[[ms]]\ndark = 8", "", r"1 \[\[ms\]\] sections, the MS raster has 2"),
        ("[1, 2, 3, 4.5]", "[1, 2, 3]", "pan.dark has 3 values, the raster has 4"),
        ("[1, 2, 3, 4.5]", '[1, 2, 3, "4"]', r"pan.dark\[3\] is not a number"),
        ("[1, 2, 3, 4.5]", "[1, 2, 3, nan]", r"pan.dark\[3\] must be"),
        ("[1, 2, 3, 4.5]", "[1, 2, 3, 2047]", "pan.dark reaches pan.saturation"),
        ("gain = 1.1", "gain = 0", "pan.gain must be 0.001 to 1000"),
        ("gain = 1.1", "gain = -inf", "pan.gain must be"),
        ("gain = 1.1", "gain = true", "pan.gain is not a number"),
        ("gain = 1.1", "gain = " + "[" * 900, "not a TOML file"),
        ("gain = 1.1", "gain = 1" + "0" * 5000, "not a TOML file"),
        ("dead = [2, 0]", "dead = 2", "pan.dead is not a list"),
        ("dead = [2, 0]", "dead = [4]", "columns are 0 to 3"),
        ("dead = [2, 0]", "dead = [0.5]", "columns are 0 to 3"),
        ("dead = [2, 0]", "dead = [0, 1, 2, 3]", "lists all columns"),
        ("saturation = 2047", "saturation = inf", "pan.saturation must be"),
        ("format = 1", "format = ", "not a TOML file"),
        ("[[ms]]", "[ms]", "not a TOML file"),
    ],
)
def test_whatever_is_wrong_with_a_calibration_file_is_one_clear_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "camera.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 2 if old == "[[ms]]" else 1))
    with pytest.raises(SceneError, match=message) as caught:
        read_radiometry(path, 4, 2, 2)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_json_says_the_same_as_toml(tmp_path: Path) -> None:
    toml, same = tmp_path / "camera.toml", tmp_path / "camera.json"
    toml.write_text(GOOD)
    same.write_text(json.dumps(tomllib.loads(GOOD)))
    for line, other in zip(
        *((r.pan, *r.ms) for r in (read_radiometry(p, 4, 2, 2) for p in (toml, same))), strict=True
    ):
        assert line.saturation == other.saturation
        for name in ("dark", "gain", "dead"):
            assert np.array_equal(getattr(line, name), getattr(other, name))


@pytest.mark.parametrize(
    "content", ["[]", "{", "[" * 999, '{"format": NaN}', '{"format": 1, "pan": 3, "ms": [1, 2]}']
)
def test_json_that_says_something_else_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "camera.json"
    path.write_text(content)
    with pytest.raises(SceneError, match=r"camera\.json: .*docs/radiometry\.md"):
        read_radiometry(path, 4, 2, 2)


def test_bytes_that_are_no_text_and_files_too_large_or_absent_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    with pytest.raises(SceneError, match="cannot read"):
        read_radiometry(path, 4, 2, 2)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SceneError, match="not a TOML file"):
        read_radiometry(path, 4, 2, 2)
    path.write_bytes(b"#" * (2**22 + 1))
    with pytest.raises(SceneError, match="at most 4MiB"):
        read_radiometry(path, 4, 2, 2)


def test_a_file_that_would_fill_the_memory_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    for name, content in (("camera.json", "[" + "[]," * 2**20), ("camera.toml", "a.b=1\n" * 2**19)):
        path = tmp_path / name
        path.write_text(content)
        tracemalloc.start()
        with pytest.raises(SceneError, match="than any camera needs"):
            read_radiometry(path, 4, 2, 2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 * 2**22


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["toml", "json"]),
    st.integers(0, 400),
    st.integers(0, 12),
    st.one_of(
        st.binary(max_size=8), st.sampled_from([b"[", b"nan", b"1e999", b"-1", b'"', b"null", b"9" * 20])
    ),
)
def test_a_damaged_calibration_file_is_read_or_refused(
    tmp_path: Path, kind: str, place: int, length: int, new: bytes
) -> None:
    content = GOOD.encode() if kind == "toml" else json.dumps(tomllib.loads(GOOD)).encode()
    path = tmp_path / f"camera.{kind}"
    path.write_bytes(content[:place] + new + content[place + length :])
    try:
        radiometry = read_radiometry(path, 4, 2, 2)
    except SceneError as error:
        assert "\n" not in str(error)
    else:
        assert [len(band.gain) for band in (radiometry.pan, *radiometry.ms)] == [4, 2, 2]
        assert all(np.isfinite(band.gain).all() for band in (radiometry.pan, *radiometry.ms))
