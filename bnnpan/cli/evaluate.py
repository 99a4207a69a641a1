"""`bnnpan evaluate`: networks and classical methods, scored and shown side by side."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bnnpan_runtime.cli.progress import progress_bar
from bnnpan_runtime.errors import OutputError

if TYPE_CHECKING:
    from bnnpan.data.manifest import Split
    from bnnpan.evaluate.scenes import Resolution
    from bnnpan_runtime.contract import Phase


@click.command("evaluate", short_help="Score networks and classical methods.")
@click.argument("run", type=click.Path(path_type=Path), nargs=-1)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    help="Data manifest, its folder, or a PanCollection .h5; may be repeated.",
)
@click.option(
    "--split", type=click.Choice(["val", "test"]), default="val", show_default=True, help="Part of the pairs."
)
@click.option("--pairs", metavar="NAMES", help="Only these pairs of the split, with commas.")
@click.option(
    "--resolution",
    "--protocol",
    type=click.Choice(["reduced", "full", "both"]),
    default="reduced",
    show_default=True,
    help="Against a ground truth, against PAN and MS themselves, or both.",
)
@click.option(
    "--phase",
    type=click.Choice(["centred", "toolbox"]),
    help="Where MS pixels lie on the PAN grid. Default: as the networks were trained, else toolbox.",
)
@click.option(
    "--baselines",
    metavar="[NAMES]",
    is_flag=False,
    flag_value="all",
    help="Classical methods, with commas; all if none is named. Plain interpolation (EXP) is always there.",
)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write all scores to this file.")
@click.option("--html", "html_path", type=click.Path(path_type=Path), help="Write tables and pictures here.")
@click.pass_context
def command(
    context: click.Context,
    run: tuple[Path, ...],
    data: tuple[Path, ...],
    split: Split,
    pairs: str | None,
    resolution: Resolution,
    phase: Phase | None,
    baselines: str | None,
    json_path: Path | None,
    html_path: Path | None,
) -> None:
    """Score each RUN (a run folder or its model.safetensors) and classical methods on the same pairs.

    Networks are calibrated once per pair and then frozen, as on board. Without a RUN the classical methods
    are scored alone, on every pair with its own bands and ratio.

    \b
    Example:
      bnnpan evaluate runs/first --data DATA
      bnnpan evaluate runs/a runs/b --data DATA --resolution both --html scores.html --baselines
      bnnpan evaluate --data DATA --split test --pairs ikonos_1 --baselines GSA,BDSD,MTF-GLP-FS
      bnnpan evaluate runs/wv3 --data test_wv3_multiExm1.h5 --json scores.json --baselines
    """
    if not run and baselines is None:
        raise click.UsageError("name a RUN, or --baselines, or both")
    for path in (json_path, html_path):
        _check_folder(path)
    from bnnpan.evaluate.evaluation import run as evaluate
    from bnnpan.evaluate.gallery import Gallery
    from bnnpan.evaluate.methods import INTERPOLATION, baseline_methods, common_phase, load_networks
    from bnnpan.evaluate.page import page
    from bnnpan.evaluate.paper import paper_tables
    from bnnpan.evaluate.scenes import Wanted, open_scenes

    methods = baseline_methods([INTERPOLATION, *_names(baselines)])
    networks = load_networks(run)
    wanted = Wanted(
        resolution=resolution,
        split=split,
        phase=phase or common_phase(networks),
        bands=networks[0].experiment.data.bands if networks else None,
        ratio=networks[0].experiment.model.ratio if networks else None,
        names=tuple(_names(pairs)) or None,
    )
    scenes = open_scenes(data, wanted)
    gallery = None if html_path is None else Gallery(scenes)
    with progress_bar("Evaluating") as progress:
        result = evaluate(scenes, networks, methods, paper_tables(data), gallery, progress)
    click.echo(result.to_text())
    if json_path is not None:
        _write(json_path, json.dumps(result.to_json(), indent=2, allow_nan=False) + "\n")
    if html_path is not None and gallery is not None:
        _write(html_path, page(result, gallery, _typed(context)))


def _names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _check_folder(path: Path | None) -> None:
    if path is not None and not path.absolute().parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it first")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    click.echo(f"wrote {path}", err=True)


def _typed(context: click.Context) -> str:
    """The command with everything that differs from its defaults."""
    words = ["bnnpan", "evaluate"]
    for parameter in context.command.params:
        value = context.params[parameter.name or ""]
        if value in (None, (), parameter.get_default(context)):
            continue
        for one in value if isinstance(value, tuple) else (value,):
            words += [str(one)] if isinstance(parameter, click.Argument) else [parameter.opts[0], str(one)]
    return shlex.join(words)
