"""The page of `bnnpan sim report`, read by parsers and drawn by a real browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from bnnpan_sim.cli import command
from bnnpan_sim.faults.campaign import CampaignReport, Trial
from bnnpan_sim.limits import Sample
from bnnpan_sim.matrix import Cell, CellResult
from bnnpan_sim.report import Event, SimReport

MIB = 2**20


def a_run(name: str, passed: bool) -> SimReport:
    events = (("scene ready", 0.5), ("started", 1.0), ("calibrated", 2.0), ("product_committed", 4.0))
    return SimReport(
        scenario=name,
        summary="Less & more <memory>",
        level=1,
        board="pi-zero-2w",
        enforced_by="cgroup v2",
        passed=passed,
        exit_code=0 if passed else 137,
        killed=not passed,
        budget_bytes=128 * MIB,
        limit_bytes=(128 if passed else 64) * MIB,
        peak_bytes=96 * MIB,
        charged_peak_bytes=128 * MIB,
        predicted_peak_bytes=100 * MIB,
        measured_peak_bytes=96 * MIB,
        product_sha256="0" * 64,
        seconds=3.2,
        cpu_seconds=3.0,
        message="",
        failures=() if passed else ("killed at 64MiB",),
        events=(*(Event(at, what, "") for what, at in events), Event(4.2, "finished", "")),
        notes=("pi-zero-2w has 4 cores, this machine lends 2",),
        samples=tuple(Sample(step / 10, (20 + 2 * step) * MIB) for step in range(1, 32)),
    )


def a_trial(index: int, kind: str, outcome: str) -> Trial:
    repeat = f"bnnpan sim campaign --kinds {kind} --seed 3 --only {index}"
    return Trial(index, kind, 3, f"{kind} planned", f"{kind} done", outcome, "why", 1.5, repeat)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    refusal = "a memory budget of 48MiB is too small: the smallest that works is 91MiB (process 77.4MiB)"
    made = a_run("cell", True)
    cells = [
        CellResult(Cell("pi-zero-2w", "bgrn-x4", 512, "128MiB"), "made", "", made),
        CellResult(Cell("pi-zero-2w", "bgrn-x4", 512, "48MiB"), "refused", refusal, made),
        CellResult(Cell("pi-5-4g", "bgrn-x4", 512, "board"), "failed", "exit code 1", None),
        CellResult(Cell("pi-5-4g", "bgrn-x4", 512, "128MiB"), "no room", "leaves 64MiB", None),
    ]
    trials = (a_trial(0, "kill", "recovered"), a_trial(1, "eio", "silent"), a_trial(2, "kill", "harmless"))
    values = [a_run("good", True), a_run("bad", False), *cells]
    values.append(CampaignReport(3, ("--memory", "1"), "0" * 64, "forked", trials))
    for number, value in enumerate(values):
        (folder / f"{number}.json").write_text(json.dumps(value.to_json()))
    return folder


@pytest.fixture
def page(results: Path, tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    result = CliRunner().invoke(command, ["report", str(results), "--html", str(path)])
    assert result.exit_code == 0, result.output
    return path


def test_the_page_is_one_file_that_says_everything(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"(src|href)=|https?://|<script|@import", text)
    assert "Less &amp; more &lt;memory&gt;" in text and "<memory>" not in text
    for expected in (
        "1 of 2",
        "3 of 4",
        "2 of 3",
        "needs 91MiB",
        "no room",
        "killed at 64MiB",
        "limit 64MiB",
    ):
        assert expected in text, expected
    assert text.count('class="chart"') == 4
    assert text.count("--only 1</code>") == 2  # among the bad ones, which are open, and among all


def test_the_same_results_give_the_same_page(results: Path, page: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.html"
    CliRunner().invoke(command, ["report", str(results), "--html", str(again)])
    assert again.read_bytes() == page.read_bytes()


def test_the_svg_is_well_formed(page: Path) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page.read_text(), re.DOTALL)
    assert len(drawings) == 4 + 2
    for drawing in drawings:
        ElementTree.fromstring(drawing)


def test_junit_counts_failures_and_gives_reasons_for_skips(results: Path, tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    assert CliRunner().invoke(command, ["report", str(results), "--junit", str(path)]).exit_code == 0
    suites = {suite.get("name"): suite for suite in ElementTree.parse(path).getroot()}
    keys = ("tests", "failures", "skipped")
    counted = {name: tuple(suite.get(key) for key in keys) for name, suite in suites.items()}
    assert counted == {"runs": ("2", "1", "0"), "matrix": ("4", "1", "2"), "faults": ("3", "1", "0")}
    (failure,) = suites["faults"].iter("failure")
    assert failure.get("message", "").endswith("--kinds eio --seed 3 --only 1")


def test_json_holds_all_results(results: Path) -> None:
    value = json.loads(CliRunner().invoke(command, ["report", str(results), "--json"]).output)
    assert [len(value[key]) for key in ("runs", "cells", "campaigns")] == [2, 4, 1]


@pytest.mark.parametrize(
    "text", ["[]", "{}", "no JSON", '{"scenario": "x"}', '{"cell": {}}', '{"trials": [{}]}']
)
def test_files_that_are_no_results_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    result = CliRunner().invoke(command, ["report", str(path), "--json"])
    assert getattr(result.exception, "exit_code", None) == 9
    assert str(path) in str(result.exception)


BROWSERS = ("chromium-headless-shell", "chromium", "google-chrome", "chromium-browser")
MEASURE = """<script>
const box = e => { const r = e.getBoundingClientRect(); return [r.width, r.height]; };
document.title = JSON.stringify({
  overflow: document.documentElement.scrollWidth - innerWidth,
  charts: [...document.querySelectorAll('svg.chart')].map(box),
  line: document.querySelector('polyline').getTotalLength(),
  stroke: getComputedStyle(document.querySelector('line.budget')).stroke,
  open: [...document.querySelectorAll('details')].map(d => d.open),
});
</script>"""


@pytest.fixture(scope="module")
def browser() -> str:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("needs a browser (Debian and Ubuntu: apt-get install chromium-headless-shell)")
    return found


@pytest.mark.parametrize("width", [1200, 420])
def test_a_browser_lays_it_out_at_every_width(browser: str, page: Path, tmp_path: Path, width: int) -> None:
    probe = tmp_path / "probe.html"
    probe.write_text(page.read_text().replace("</body>", f"{MEASURE}</body>"))
    command_line = [browser, "--headless", "--no-sandbox", f"--window-size={width},900", "--dump-dom"]
    result = subprocess.run(
        [*command_line, f"--user-data-dir={tmp_path / 'profile'}", probe.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    match = re.search(r"<title>(\{.*?\})</title>", result.stdout)
    assert match, result.stdout[:500]
    seen = json.loads(match[1])
    assert seen["overflow"] <= 0
    assert len(seen["charts"]) == 4 and all(w > 200 and h > 5 for w, h in seen["charts"])
    assert seen["line"] > 300
    assert seen["stroke"] not in ("none", "rgb(0, 0, 0)")
    assert seen["open"] == [True, False]
