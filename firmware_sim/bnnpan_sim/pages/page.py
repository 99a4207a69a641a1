"""The HTML page: one file without scripts or links to elsewhere, the same for the same results."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources

from bnnpan_runtime.memory import format_size, parse_size
from bnnpan_sim.faults.campaign import CampaignReport, Trial
from bnnpan_sim.faults.kinds import KINDS
from bnnpan_sim.faults.outcome import BAD
from bnnpan_sim.matrix import FAILED, MADE, WHOLE_BOARD, CellResult
from bnnpan_sim.report import SimReport

from .charts import memory_chart, outcome_bar, stage_chart
from .results import Results

_TITLE = "Flight software on emulated boards"
_HONESTY = (
    "Level 1 runs this machine's program under the board's memory, level 2 the board's own instructions "
    "under emulation. Seconds are those of the machine that ran this, never of a board."
)


def page(results: Results) -> str:
    """The whole document."""
    style = (resources.files(__package__) / "page.css").read_text()
    parts = [f"<h1>{_TITLE}</h1><p class=lead>{_HONESTY}</p>", _summary(results)]
    if results.cells:
        parts += ["<h2>What fits on which board</h2>", *_matrix(results.cells)]
    if results.runs:
        parts += ["<h2>Runs</h2>", *map(_run, results.runs)]
    if results.campaigns:
        parts += ["<h2>Faults</h2>", *map(_campaign, results.campaigns)]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    body = "\n".join(parts)
    head += f"<title>{_TITLE}</title>\n<style>\n{style}</style>"
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _summary(results: Results) -> str:
    trials = [trial for campaign in results.campaigns for trial in campaign.trials]
    tiles: list[tuple[str, int, int]] = []
    if results.runs:
        tiles.append(("runs as expected", sum(run.passed for run in results.runs), len(results.runs)))
    if results.cells:
        good = sum(cell.status != FAILED for cell in results.cells)
        tiles.append(("cells made or honestly refused", good, len(results.cells)))
    if trials:
        good = sum(trial.outcome not in BAD for trial in trials)
        tiles.append(("faults without a wrong product", good, len(trials)))
    items = (
        f"<li class={'good' if good == all_ else 'bad'}><b>{good} of {all_}</b>{name}</li>"
        for name, good, all_ in tiles
    )
    return f"<ul class=tiles>{''.join(items)}</ul>"


def _matrix(cells: Sequence[CellResult]) -> Iterator[str]:
    """One table for each bundle: boards down, scene sizes and budgets across."""
    for bundle in dict.fromkeys(one.cell.bundle for one in cells):
        found = {
            (one.cell.board, one.cell.size, one.cell.budget): one
            for one in cells
            if one.cell.bundle == bundle
        }
        columns = sorted({(size, budget) for _, size, budget in found}, key=_column_order)
        heads = "".join(f"<th>{size}²<br><small>{escape(budget)}</small></th>" for size, budget in columns)
        yield f"<h3>Bundle {escape(bundle)}</h3><div class=wide><table><tr><th>board</th>{heads}</tr>"
        for board in dict.fromkeys(board for board, _, _ in found):
            row = "".join(_cell(found.get((board, *column))) for column in columns)
            yield f"<tr><td>{escape(board)}</td>{row}</tr>"
        yield "</table></div><p class=soft>Peak memory of each run; above, PAN pixels and budget.</p>"


def _cell(one: CellResult | None) -> str:
    if one is None:
        return "<td></td>"
    title = escape(one.detail, quote=True)
    kind = one.status.replace(" ", "")
    if one.status == MADE and one.report is not None:
        peak = "level 2" if one.report.peak_bytes is None else format_size(one.report.peak_bytes)
        return f'<td class={kind} title="{title}">{peak}<small>{one.report.seconds:.1f} s here</small></td>'
    return f'<td class={kind} title="{title}">{one.status}<small>{_needs(one.detail)}</small></td>'


def _needs(detail: str) -> str:
    """The smallest budget out of a refusal, where it names one."""
    match = re.search(r"smallest that works is ([\d.]+[KMG]iB)", detail)
    return f"needs {match[1]}" if match else ""


def _column_order(column: tuple[int, str]) -> tuple[int, float]:
    """By size of the scene, then of the budget; the whole board comes last."""
    size, budget = column
    return size, math.inf if budget == WHOLE_BOARD else parse_size(budget)


def _run(run: SimReport) -> str:
    badge = "<span class=badge>passed</span>" if run.passed else '<span class="badge failed">failed</span>'
    facts = f"{escape(run.board)}, level {run.level}, memory enforced by {run.enforced_by}"
    facts += f", exit code {run.exit_code}"
    notes = [f"<li class=failure>{escape(line)}</li>" for line in run.failures]
    notes += [f"<li>{escape(line)}</li>" for line in run.notes]
    notes += [
        f"<li>fault {escape(fault.kind)}, seed {fault.seed}: {fault.outcome}, {escape(fault.detail)}</li>"
        for fault in run.faults
    ]
    listed = f"<ul class=notes>{''.join(notes)}</ul>" if notes else ""
    return (
        f"<article>{badge}<h3>{escape(run.scenario)}</h3><small>{facts}</small>"
        f"<p>{escape(run.summary)}</p>{memory_chart(run)}{stage_chart(run)}{listed}</article>"
    )


def _campaign(campaign: CampaignReport) -> str:
    table = campaign.table()
    outcomes = list(next(iter(table.values()), {}))
    heads = "".join(f"<th>{outcome}</th>" for outcome in outcomes)
    rows = "".join(
        f'<tr><td title="{escape(KINDS.get(kind, ""), quote=True)}">{kind}</td>'
        + "".join(f"<td>{count or '·'}</td>" for count in counts.values())
        + f"<td>{outcome_bar(counts)}</td></tr>"
        for kind, counts in table.items()
    )
    fired = sum(bool(trial.done) for trial in campaign.trials)
    return (
        f"<article><h3>{len(campaign.trials)} faults, seed {campaign.seed}</h3>"
        f"<small>{fired} took place, the others came after the run's end; {campaign.start} starts</small>"
        f"<div class=wide><table><tr><th>kind</th>{heads}<th></th></tr>{rows}</table></div>"
        f"{_trials('Those that ended badly', campaign.bad, True)}"
        f"{_trials('Every fault', campaign.trials, False)}</article>"
    )


def _trials(title: str, trials: Sequence[Trial], opened: bool) -> str:
    if not trials:
        return ""
    rows = "".join(
        f"<tr{' class=bad' if trial.outcome in BAD else ''}><td>{trial.index}</td>"
        f"<td class=text>{trial.kind}</td>"
        f"<td class=text>{trial.outcome}</td><td class=text>{escape(trial.done or 'nothing')}"
        f"<small>{escape(trial.detail)}</small><small><code>{escape(trial.repeat)}</code></small></td></tr>"
        for trial in trials
    )
    table = f"<div class=wide><table>{rows}</table></div>"
    return f"<details{' open' if opened else ''}><summary>{title}</summary>{table}</details>"
