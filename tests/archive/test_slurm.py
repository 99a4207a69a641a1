"""The script for a Slurm array, run by the shell as a task of the array would be."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

from requirements import missing

from bnnpan_archive.job import Order

from .conftest import Made, archive, run


def test_the_tasks_of_the_array_make_the_same_products(scenes: Path, made: Made, tmp_path: Path):
    if not entry_points(group="bnnpan.commands", name="archive"):
        missing("packages", "needs `bnnpan archive` (pip install -e '.[archive]')")
    out = tmp_path / "out"
    ordered = run(scenes, out, "--scheduler", "slurm", "--workers", "2")
    assert ordered.exit_code == 0 and ordered.value["next_step"].startswith(f"sbatch {out}/array.sh")
    script = out / "array.sh"
    directives = re.findall(r"^#SBATCH (.*)", script.read_text(), re.MULTILINE)
    assert "--job-name=bnnpan --array=0-2%2" in directives and "--cpus-per-task=1 --mem=384M" in directives
    assert archive("report", out).value["waiting"] == 3

    path = os.pathsep.join(filter(None, sys.path))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    codes = [
        subprocess.run(["sh", script], env={**environment, "SLURM_ARRAY_TASK_ID": task}).returncode
        for task in ("2", "0", "1")
    ]
    assert codes == [8, 0, 0]
    gathered = archive("report", out)
    assert gathered.exit_code == 8 and gathered.value["waiting"] == 0
    assert {name: one["product_sha256"] for name, one in gathered.results().items()} == {
        name: one["product_sha256"] for name, one in made.outcome.results().items()
    }


def test_an_order_is_read_as_it_was_written(scenes: Path, tmp_path: Path):
    run(scenes, tmp_path / "out", "--scheduler", "slurm", "--", "--register", "off")
    order = Order.read(tmp_path / "out")
    assert order.options.arguments == ("--register", "off")
    assert [job.scene.name for job in order.jobs()] == ["s0", "s1", "s2"]
    assert archive("job", tmp_path / "out", "3").exit_code == 9
