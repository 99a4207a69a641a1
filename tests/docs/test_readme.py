"""Every command of the README runs, in its order, and every file it links to exists."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from requirements import missing, require_package
from synthetic_data import write_manifest

DOCS = Path(__file__).resolve().parents[2] / "docs"
RUN_BY_CI = ("make demo", "make test", "pip install")


def readme_commands(readme: str) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    lines = [line.partition("  # ")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.mark.slow
def test_every_command_of_the_readme_works(repo_root: Path, tmp_path: Path):
    require_package("cryptography")
    if not entry_points(group="bnnpan.commands", name="key"):
        missing("packages", "needs `bnnpan key` (pip install -e '.[export]')")
    commands = readme_commands((repo_root / "README.md").read_text())
    ours = [line for line in commands if not line.startswith(RUN_BY_CI)]
    assert len(ours) > 10 and all(line.startswith("bnnpan ") for line in ours)
    (tmp_path / "configs").symlink_to(repo_root / "configs")
    run(tmp_path, "bnnpan scene synth --size 512 --out DATA")
    for kind in ("pan", "ms"):
        (tmp_path / f"{kind}.tif").write_bytes((tmp_path / "DATA" / f"{kind}.tif").read_bytes())
    write_manifest(tmp_path / "DATA")
    for line in ours:
        if line.startswith("bnnpan fuse"):  # two examples write the same product
            (tmp_path / "product.tif").unlink(missing_ok=True)
        run(tmp_path, line)


def run(folder: Path, line: str) -> None:
    command = [sys.executable, "-m", "bnnpan_runtime", *shlex.split(line)[1:]]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ)
    assert result.returncode == 0, f"{line}\n{result.stdout}\n{result.stderr}"


PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in DOCS.glob("*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(repo_root: Path, page: str):
    path = repo_root / page
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{page} links to {target}"
