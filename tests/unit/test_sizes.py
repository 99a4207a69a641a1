"""The size report of `make lint`: it counts what it says, and fails above its limits."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

PYTHON = '''
def short(argument):
    """Documentation
    of any length

    counts for nothing."""
    first = 1
    return first


class Of:
    def method(
        self,
    ):
        return 1
'''
C = """
struct point { int x; };

static int add(int one,
               int other)
{
    int sum = one + other;
    return sum;
}

int none(void) {
    return 0;
}
"""


@pytest.fixture(scope="module")
def sizes(repo_root: Path) -> ModuleType:
    specification = importlib.util.spec_from_file_location("sizes", repo_root / "tools" / "sizes.py")
    assert specification is not None and specification.loader is not None
    module = sys.modules["sizes"] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_a_function_is_as_large_as_its_body(sizes: ModuleType):
    found = {size.name: size.lines for size in sizes.functions_of("a.py", PYTHON)}
    assert found == {"a.py:short": 2, "a.py:method": 1}
    found = {size.name: size.lines for size in sizes.functions_of("a.c", C)}
    assert found == {"a.c:add": 2, "a.c:none": 1}


def test_what_is_too_large_is_named_unless_there_is_a_reason(
    sizes: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    large = [sizes.Size(10, "a.py"), sizes.Size(11, "b.py"), sizes.Size(12, "c.py")]
    monkeypatch.setattr(sizes, "EXCEPTIONS", {"c.py": "a reason"})
    (complaint,) = sizes.complaints(large, 10)
    assert complaint.startswith("b.py has 11 lines, above 10")


def test_every_exception_is_still_one(sizes: ModuleType, repo_root: Path):
    files = {name.partition(":")[0] for name in sizes.EXCEPTIONS}
    measured = {}
    for name in files:
        text = (repo_root / name).read_text()
        measured |= {size.name: size.lines > sizes.FUNCTION_LINES for size in sizes.functions_of(name, text)}
        measured[name] = text.count("\n") > sizes.FILE_LINES
    assert [name for name in sizes.EXCEPTIONS if not measured.get(name)] == []


def test_the_report_names_every_package(repo_root: Path):
    report = subprocess.run(
        [sys.executable, repo_root / "tools" / "sizes.py"], capture_output=True, text=True
    ).stdout
    for package in ("bnnpan ", "export/bnnpan_export ", "runtime/native ", "tests "):
        assert f"\n{package}" in f"\n{report}"
