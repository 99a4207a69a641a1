"""How large the code is: lines per package, the largest files and functions; fails above the limits.

    python tools/sizes.py

Part of `make lint`. A function's size is that of its body, without signature and documentation: options of a
command and words about arguments are no complexity. Blank lines and comments count everywhere.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILE_LINES = 450
"""What one reads in a sitting."""

FUNCTION_LINES = 50
"""A screen."""

EXCEPTIONS = {
    "tests/runtime/native_driver.c:refuse_tiles": "a list of what must be refused, one after the other",
}
"""File, or file:function, that may be larger -> why."""

_PACKAGES = (
    "bnnpan",
    "export/bnnpan_export",
    "archive/bnnpan_archive",
    "firmware_sim/bnnpan_sim",
    "runtime/bnnpan_runtime",
    "runtime/native",
    "tests",
)
_SHOWN = 8
_C_FUNCTION = re.compile(
    r"^(?!typedef|struct|enum|union)[a-z][^;={]*?(\w+)\([^;{]*\)\s*\{$(.*?)^\}", re.M | re.S
)


@dataclass(frozen=True, order=True)
class Size:
    """Lines of a file or a function."""

    lines: int
    name: str


def main() -> None:
    """Print the report; exit with 1 if something is too large."""
    root = Path(__file__).resolve().parent.parent
    sources = {name: (root / name).read_text(encoding="utf-8") for name in _listed(root)}
    files = [Size(text.count("\n"), name) for name, text in sources.items()]
    functions = [size for name, text in sources.items() for size in functions_of(name, text)]
    print(report(files, functions))
    if found := complaints(files, FILE_LINES) + complaints(functions, FUNCTION_LINES):
        sys.exit("\n".join(["", *found]))


def _listed(root: Path) -> list[str]:
    """Sources that git knows or would add, by their path from the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py", "*.c", "*.h"]
    names = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split()
    return [name for name in names if (root / name).is_file()]


def functions_of(name: str, text: str) -> Iterator[Size]:
    """Functions of a file by `file:function`, with the lines of their bodies."""
    if not name.endswith(".py"):
        for found in _C_FUNCTION.finditer(text):
            yield Size(found[2].count("\n") - 1, f"{name}:{found[1]}")
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node) is not None
            first = node.body[0].end_lineno if documented else node.body[0].lineno - 1
            yield Size((node.end_lineno or 0) - (first or 0), f"{name}:{node.name}")


def report(files: list[Size], functions: list[Size]) -> str:
    """Lines per package, then what is largest."""
    lines = []
    for package in _PACKAGES:
        own = [size.lines for size in files if size.name.startswith(f"{package}/")]
        if own:
            lines.append(f"{package:26} {sum(own):6} lines in {len(own):3} files, {max(own)} at most")
    for kind, sizes in (("files", files), ("functions", functions)):
        lines += ["", f"largest {kind}"]
        lines += [f"{size.lines:6}  {size.name}" for size in sorted(sizes, reverse=True)[:_SHOWN]]
    return "\n".join(lines)


def complaints(sizes: list[Size], limit: int) -> list[str]:
    """What is above the limit without a reason."""
    return [
        f"{size.name} has {size.lines} lines, above {limit}: split it, or say in tools/sizes.py why not"
        for size in sorted(sizes)
        if size.lines > limit and size.name not in EXCEPTIONS
    ]


if __name__ == "__main__":
    main()
