"""The summary page of an archive: static, with the thumbnails beside it and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from statistics import median
from urllib.parse import quote

from bnnpan_archive.job import Order
from bnnpan_archive.result import Result
from bnnpan_runtime.durable_file import write_file
from bnnpan_runtime.memory import format_size

from .histogram import histogram

__all__ = ["write_page"]

_TITLE = "Pan-sharpened archive"
_FIGURES = {
    "HQNR": "higher is better",
    "D_lambda": "spectral distortion, lower is better",
    "D_s": "spatial distortion, lower is better",
}


def write_page(order: Order, results: Sequence[Result], waiting: int) -> Path:
    """Write `index.html` into the products' folder; the same results give the same page."""
    path = Path(order.archive, "index.html")
    style = (resources.files(__package__) / "page.css").read_text(encoding="utf-8")
    made = [result for result in results if not result.failed]
    parts = [
        f"<h1>{_TITLE}</h1><p class=lead>{_lead(order)}</p>",
        _tiles(results, made, waiting),
        *_failures([result for result in results if result.failed]),
        *_quality(made),
        *_scenes(order, made),
    ]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"<title>{_TITLE}</title>\n<style>\n{style}</style>"
    body = "\n".join(parts)
    page = f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'
    write_file(path, page.encode())
    return path


def _lead(order: Order) -> str:
    options = order.options
    facts = [
        f"Scenes of {order.catalog}",
        f"bundle {Path(options.bundle).name}",
        f"{format_size(options.memory_bytes)} for each run",
        *(["with " + " ".join(options.arguments)] if options.arguments else []),
    ]
    return escape(", ".join(facts))


def _tiles(results: Sequence[Result], made: Sequence[Result], waiting: int) -> str:
    failed = len(results) - len(made)
    pixels = sum(result.fuse["pan_pixels"] for result in made)
    tiles = [
        ("good", f"{len(made)} of {len(results) + waiting}", "products"),
        ("bad" if failed else "good", str(failed), "scenes without a product"),
        *([("", str(waiting), "not yet tried")] if waiting else []),
        ("", f"{pixels / 1e6:,.1f}", "million pixels"),
    ]
    if made:
        tiles.append(("", f"{median(result.seconds for result in made):,.1f} s", "a scene, median"))
        tiles.append(("", f"{max(result.peak_mib for result in made):.0f} MiB", "largest peak"))
    items = (f'<li class="{kind}"><b>{value}</b>{name}</li>' for kind, value, name in tiles)
    return f"<ul class=tiles>{''.join(items)}</ul>"


def _failures(failed: Sequence[Result]) -> Iterator[str]:
    if failed:
        note = "Each with the command that repeats it; the next run tries all of them again."
        yield f"<h2>Failed</h2><p class=soft>{note}</p>"
    for result in failed:
        yield (
            f'<article><span class="badge failed">exit code {result.exit_code}</span>'
            f"<h3>{escape(result.scene)}</h3><p>{escape(result.message)}</p>"
            f"<code>{escape(result.command)}</code></article>"
        )


def _quality(made: Iterable[Result]) -> Iterator[str]:
    scores = [result.scores for result in made]
    drawn = []
    for name, note in _FIGURES.items():
        values = [of_scene[name] for of_scene in scores if name in of_scene]
        if values:
            drawn.append(histogram(name, values, note))
    if drawn:
        yield f"<h2>Quality</h2><div class=charts>{''.join(drawn)}</div>"


def _scenes(order: Order, made: Sequence[Result]) -> Iterator[str]:
    if not made:
        return
    thumbnails = {job.scene.name: job.thumbnail for job in order.jobs()}
    yield "<h2>Products</h2><ul class=scenes>"
    for result in made:
        folder = quote(result.scene)
        picture = (
            f'<img loading="lazy" src="{folder}/{thumbnails[result.scene].name}" alt="">'
            if thumbnails[result.scene].is_file()
            else "<i></i>"
        )
        figures = ", ".join(f"{name} {value:.3f}" for name, value in result.scores.items())
        note = f"<small class=failure>{escape(result.message)}</small>" if result.message else ""
        yield (
            f'<li><a href="{quote(str(result.product))}">{picture}<b>{escape(result.scene)}</b></a>'
            f"<small>{figures}</small><small>{result.seconds:.1f} s, {result.peak_mib:.0f} MiB"
            f' · <a href="{folder}/result.json">record</a></small>{note}</li>'
        )
    yield "</ul>"
