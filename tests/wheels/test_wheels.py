"""`make wheels`: the right tags, nothing newer than they promise, the same bytes every time."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

LIBRARY = "bnnpan_runtime/_native/libbnnpan.so"
ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
"""`e_machine` of an ELF file, at byte 18."""


def test_each_wheel_holds_the_library_its_tag_says(wheels: dict[str, Path]):
    assert platform.machine() in wheels
    for processor, path in wheels.items():
        with zipfile.ZipFile(path) as wheel:
            library = wheel.read(LIBRARY)
            (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/WHEEL"))
            fields = message_from_string(wheel.read(name).decode())
        assert int.from_bytes(library[18:20], "little") == ELF_MACHINES[processor]
        assert fields.get_all("Tag") == [f"py3-none-manylinux_2_17_{processor}"]
        assert fields["Root-Is-Purelib"] == "false"


def test_the_same_sources_give_the_same_bytes_anywhere(
    build_wheels: Path, wheels: dict[str, Path], tmp_path: Path
):
    """Other place, times and permissions of the sources; here without a cross compiler on the PATH."""
    sources = tmp_path / "elsewhere" / "runtime"
    shutil.copytree(
        build_wheels.parent.parent, sources, copy_function=shutil.copyfile,
        ignore=shutil.ignore_patterns("__pycache__", "_native"),
    )  # fmt: skip
    for path in sources.rglob("*.py"):
        path.chmod(0o600)
    other = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    tools = tmp_path / "tools"
    tools.mkdir()
    for folder in os.environ["PATH"].split(os.pathsep):
        for tool in Path(folder).glob("*"):
            if not tool.name.startswith(f"{other}-linux-gnu") and not (tools / tool.name).exists():
                (tools / tool.name).symlink_to(tool)
    result = subprocess.run(
        [sys.executable, sources / "packaging" / "wheels.py", tmp_path / "dist"],
        env=os.environ | {"PATH": str(tools)}, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    (rebuilt,) = (tmp_path / "dist").iterdir()
    assert rebuilt.name == wheels[platform.machine()].name
    assert rebuilt.read_bytes() == wheels[platform.machine()].read_bytes()
    assert f"no wheel for {other}: {other}-linux-gnu-gcc is not on the PATH" in result.stdout


@pytest.mark.parametrize(
    ("function", "library", "needs"),
    [("void explicit_bzero(void)", "c", "GLIBC_2.25"), ("void GOMP_barrier(void)", "gomp", "libgomp.so.1")],
    ids=["newer glibc", "another library"],
)
def test_a_library_that_needs_more_than_the_tag_promises_is_refused(
    build_wheels: Path, wheels: dict[str, Path], tmp_path: Path, function: str, library: str, needs: str
):
    source, other = tmp_path / "other.c", tmp_path / "other.so"
    name = function.removeprefix("void ").removesuffix("(void)")
    source.write_text(f"{function};\nvoid run(void);\nvoid run(void) {{ {name}(); }}\n")
    command = ["cc", "-shared", "-fPIC", "-fno-builtin", source, "-o", other, f"-l{library}"]
    subprocess.run(command, check=True)
    processor = platform.machine()
    changed = tmp_path / wheels[processor].name
    with zipfile.ZipFile(wheels[processor]) as wheel, zipfile.ZipFile(changed, "w") as copy:
        for entry in wheel.namelist():
            copy.writestr(entry, other.read_bytes() if entry == LIBRARY else wheel.read(entry))

    specification = importlib.util.spec_from_file_location("wheels", build_wheels)
    assert specification is not None and specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    assert script.check(wheels[processor], processor).startswith("libc.so.6 (GLIBC_2.")
    with pytest.raises(script.WheelError, match=f"{needs}.*more than manylinux_2_17 has"):
        script.check(changed, processor)
