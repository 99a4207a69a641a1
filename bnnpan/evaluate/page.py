"""An evaluation as one self-contained HTML file, the same to the byte whenever it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from bnnpan.evaluate.evaluation import Evaluation
from bnnpan.evaluate.figures import figures
from bnnpan.evaluate.gallery import Exhibit, Gallery
from bnnpan.evaluate.methods import INTERPOLATION
from bnnpan.evaluate.paper import PaperTable
from bnnpan.evaluate.scores import Values, summary
from bnnpan.evaluate.table import Column, cell, filled, ranks

__all__ = ["page"]

_NETWORK_COLOURS = ("#c8102e", "#0057b8", "#00843d", "#8031a7", "#d1620f")
_BEST_BASELINE_COLOUR, _INTERPOLATION_COLOUR = "#000000", "#7a7a7a"
_MARKS = "best bold, second best underlined"
_JUDGE = {"reduced": ("ERGAS", 1), "full": ("HQNR", -1)}
"""What tells the best classical method of a scene, and the sign that makes lower better."""


def page(evaluation: Evaluation, gallery: Gallery, command: str) -> str:
    """The whole page; `command` is what was typed."""
    sections = [
        "<h1>Pan-sharpening evaluation</h1>",
        f"<pre>{escape(command)}</pre>",
        "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in [*evaluation.conditions(), _MARKS]) + "</ul>",
        *_tables(evaluation),
        _networks(evaluation),
        *(_exhibit(exhibit, evaluation) for exhibit in gallery.exhibits.values()),
    ]
    if gallery.left_out:
        sections.append(f"<p>{gallery.left_out} more scenes are in the tables but not drawn.</p>")
    style = files("bnnpan.evaluate").joinpath("page.css").read_text(encoding="utf-8")
    head = f'<meta charset="utf-8"><title>Pan-sharpening evaluation</title>\n<style>\n{style}</style>'
    body = "\n".join(section for section in sections if section)
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'


def _tables(evaluation: Evaluation) -> Iterable[str]:
    shown = evaluation.columns
    for title, scores in evaluation.groups():
        summed = summary(scores)
        yield f"<h2>{escape(title)}: mean ± standard deviation</h2>"
        paper = evaluation.paper if scores is evaluation.scores else ()
        yield _table(summed["mean"], shown, summed["std"], paper)
    for name, values in evaluation.scores.items():
        facts = next(iter(evaluation.scenes[name].values()))
        alone = len(evaluation.scores) == 1
        yield f"<h2>{escape(name)} <small>{escape(facts['sensor'])}</small></h2>"
        yield _table(values, filled(shown, values), {}, evaluation.paper if alone else ())


def _table(values: Values, shown: Sequence[Column], spread: Values, paper: Sequence[PaperTable]) -> str:
    heading = "".join(f"<th>{escape(column.heading)}</th>" for column in shown)
    rows = _rows(values, shown, spread)
    for table in paper:
        source = escape(f"{table.title}. {table.note}")
        rows.append(f'<tr class="source"><td colspan="{len(shown) + 1}">{source}</td></tr>')
        rows += _rows(table.labelled(table.mean), shown, table.labelled(table.std))
    lines = "\n".join(rows)
    return f'<div class="wide"><table><tr><th>method</th>{heading}</tr>\n{lines}</table></div>'


def _rows(values: Values, shown: Sequence[Column], spread: Values) -> list[str]:
    places = {column: ranks(values, column) for column in shown}
    rows = []
    for method, of_method in values.items():
        cells = []
        for column in shown:
            text = cell(of_method, column)
            known = text != "-" and method in spread
            deviation = f" <small>± {cell(spread[method], column)}</small>" if known else ""
            mark = {1: "best", 2: "second"}.get(places[column].get(method, 0), "")
            cells.append(f'<td class="{mark}"><span>{text}</span>{deviation}</td>')
        rows.append(f"<tr><td>{escape(method)}</td>{''.join(cells)}</tr>")
    return rows


def _networks(evaluation: Evaluation) -> str:
    facts = {network.name: network.facts() for network in evaluation.networks}
    if not facts:
        return ""
    rows = [
        f"<tr><td>{escape(name.replace('_', ' '))}</td>"
        + "".join(f"<td>{escape(_fact(of_network[name]))}</td>" for of_network in facts.values())
        + "</tr>"
        for name in next(iter(facts.values()))
    ]
    heading = "".join(f"<th>{escape(name)}</th>" for name in facts)
    note = (
        "<p>Parameters, and multiply-accumulates for 256 x 256 PAN pixels; full: each counts as one; packed:"
        " a binary parameter counts as 1/32, a binary operation as 1/64.</p>"
    )
    return f'<h2>Networks</h2><table class="facts"><tr><th></th>{heading}</tr>{"".join(rows)}</table>{note}'


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {number:,.0f}" for name, number in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "-" if value is None else str(value)


def _exhibit(exhibit: Exhibit, evaluation: Evaluation) -> str:
    title = f"{exhibit.name}, {exhibit.resolution} resolution"
    drawn = figures(exhibit, _emphasis(exhibit, evaluation))
    return f"<section><h2>{escape(title)}</h2>\n{drawn}</section>"


def _emphasis(exhibit: Exhibit, evaluation: Evaluation) -> dict[str, str]:
    """Colours of the curves of interpolation, the best classical method of the scene, and the networks."""
    metric, sign = _JUDGE[exhibit.resolution]
    scores = evaluation.scores[exhibit.name]
    networks = [network.name for network in evaluation.networks]
    classical = [m for m in exhibit.crops if m not in (*networks, INTERPOLATION) and metric in scores[m]]
    colours = {INTERPOLATION: _INTERPOLATION_COLOUR}
    if classical:
        colours[min(classical, key=lambda m: sign * scores[m][metric])] = _BEST_BASELINE_COLOUR
    for index, name in enumerate(networks):
        colours[name] = _NETWORK_COLOURS[index % len(_NETWORK_COLOURS)]
    return colours
