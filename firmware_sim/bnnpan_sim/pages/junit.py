"""JUnit XML, as CI systems read it: one test case for each run, cell and fault."""

from __future__ import annotations

from xml.etree import ElementTree

from bnnpan_sim.faults.outcome import BAD
from bnnpan_sim.matrix import FAILED, MADE

from .results import Results


def junit(results: Results) -> str:
    """The document. Cells that cannot fit are skipped tests with the planner's refusal as their reason."""
    root = ElementTree.Element("testsuites", name="bnnpan sim")
    runs = _suite(root, "runs")
    for run in results.runs:
        case = _case(runs, f"{run.board}.level{run.level}", run.scenario, run.seconds)
        if not run.passed:
            ElementTree.SubElement(case, "failure", message="; ".join(run.failures))
    matrix = _suite(root, "matrix")
    for one in results.cells:
        cell = one.cell
        name = f"{cell.bundle}, {cell.size} x {cell.size}, {cell.budget}"
        case = _case(matrix, cell.board, name, one.report.seconds if one.report else 0.0)
        if one.status == FAILED:
            ElementTree.SubElement(case, "failure", message=one.detail)
        elif one.status != MADE:
            ElementTree.SubElement(case, "skipped", message=f"{one.status}: {one.detail}")
    faults = _suite(root, "faults")
    for campaign in results.campaigns:
        for trial in campaign.trials:
            name = f"{trial.index} seed {trial.seed}: {trial.planned}"
            case = _case(faults, trial.kind, name, trial.seconds)
            if trial.outcome in BAD:
                message = f"{trial.outcome}: {trial.detail}; again: {trial.repeat}"
                ElementTree.SubElement(case, "failure", message=message)
    for suite in root:
        for kind in ("failure", "skipped"):
            count = sum(case.find(kind) is not None for case in suite)
            suite.set("failures" if kind == "failure" else kind, str(count))
        suite.set("tests", str(len(suite)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: ElementTree.Element, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(root, "testsuite", name=name)


def _case(suite: ElementTree.Element, group: str, name: str, seconds: float) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", classname=group, name=name, time=f"{seconds:.3f}")
