"""`bnnpan sim campaign`: many faults, one after another, and what came of them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bnnpan_runtime.cli.options import SIZE, echo_json, json_option
from bnnpan_runtime.errors import VerificationError
from bnnpan_runtime.memory import MIB
from bnnpan_sim.faults.kinds import KINDS
from bnnpan_sim.scenes import SceneFiles, SynthScene, scene_files

from .options import default_work, work_option

if TYPE_CHECKING:
    from bnnpan_sim.faults.campaign import CampaignReport, Trial

_SIDE, _TILE, _MEMORY, _BUNDLE = 256, 64, 128 * MIB, "bgrn-x4"
"""Sixteen tiles, so that there is something to be interrupted."""


@click.command("campaign", short_help="Try faults on a small scene and judge what comes of them.")
@click.option("--faults", type=click.IntRange(min=1), default=24, show_default=True, help="How many.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same faults.")
@click.option("--kinds", help="Those that take turns, with commas [default: all that can be had here].")
@click.option("--only", type=click.IntRange(min=0), help="Try this one of them alone, by its number.")
@click.option(
    "--size", type=click.IntRange(min=64), default=_SIDE, show_default=True, help="PAN pixels a side."
)
@click.option("--pan", type=click.Path(path_type=Path), help="Panchromatic scene instead of a synthetic one.")
@click.option("--ms", type=click.Path(path_type=Path), help="Multispectral scene.")
@click.option("--bundle", default=_BUNDLE, show_default=True, metavar="NAME|FILE", help="Network to use.")
@click.option("--memory", type=SIZE, default=_MEMORY, help="Budget of each run [default: 128MiB].")
@click.option("--tile", type=click.IntRange(min=16), default=_TILE, show_default=True, help="PAN pixels.")
@click.option("--cold", is_flag=True, help="Start Python anew for each run and disturb that, too; slower.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the JSON there as well.")
@work_option
@json_option
def command(
    faults: int,
    seed: int,
    kinds: str | None,
    only: int | None,
    size: int,
    pan: Path | None,
    ms: Path | None,
    bundle: str,
    memory: int,
    tile: int,
    cold: bool,
    out: Path | None,
    work: Path | None,
    as_json: bool,
) -> None:
    """Run `bnnpan fuse` again and again, disturb each run by one fault, and run the same command again.

    \b
    harmless   the run succeeded with the very same product
    faithful   the input was damaged before, and the product is what that input gives
    recovered  the run failed; the same command then made the very same product
    refused    both runs refused with a documented exit code and left no wrong product
    detected   the same with an exit code that is not documented
    silent     a wrong product, and nobody was told
    hang       a run that did not end

    The exit code is 8 if anything was silent or hung. Each fault is repeated by the command printed with it.

    \b
    Examples:
      bnnpan sim campaign --faults 100 --seed 7
      bnnpan sim campaign --kinds kill,enospc --faults 20 --json
    """
    from bnnpan_sim.faults.campaign import Campaign

    chosen = _kinds(kinds)
    if (pan is None) != (ms is None):
        raise click.UsageError("--pan and --ms go together")
    folder = work or default_work()
    scene = scene_files(
        SynthScene(size, seed=1) if pan is None or ms is None else SceneFiles(pan, ms), folder / "scenes"
    )
    arguments = ["--bundle", bundle, "--memory", str(memory), "--tile", str(tile)]
    with Campaign(scene, arguments, folder, cold=cold, command=_repeat()) as campaign:
        indices = range(faults) if only is None else [only]
        report = campaign.trials(chosen, seed, indices, _tell)
    if out is not None:
        out.write_text(json.dumps(report.to_json(), indent=1) + "\n")
    if as_json:
        echo_json(report.to_json())
    else:
        click.echo(table(report))
    if report.bad:
        named = "; ".join(f"{trial.outcome}: {trial.repeat}" for trial in report.bad[:3])
        raise VerificationError(f"{len(report.bad)} of {len(report.trials)} faults ended badly: {named}")


def table(report: CampaignReport) -> str:
    """Kinds against outcomes, for people."""
    rows = report.table()
    outcomes = list(next(iter(rows.values())))
    lines = [f"{'':16}" + "".join(f"{outcome:>10}" for outcome in outcomes)]
    for kind, counts in rows.items():
        lines.append(f"{kind:16}" + "".join(f"{count or '.':>10}" for count in counts.values()))
    sums = [sum(counts[outcome] for counts in rows.values()) for outcome in outcomes]
    lines.append(f"{'all':16}" + "".join(f"{count or '.':>10}" for count in sums))
    fired = sum(bool(trial.done) for trial in report.trials)
    return "\n".join([*lines, f"{len(report.trials)} faults, {fired} of them took place, seed {report.seed}"])


def _kinds(text: str | None) -> list[str]:
    """Those asked for; else all, but for what this computer cannot do, which is said."""
    if text is None:
        from bnnpan_sim.faults.power import why_no_power_cut

        reason = why_no_power_cut()
        if reason is not None:
            click.echo(f"powercut is left out: {reason}", err=True)
        return [kind for kind in KINDS if reason is None or kind != "powercut"]
    chosen = [kind for kind in text.split(",") if kind]
    for kind in chosen:
        if kind not in KINDS:
            raise click.UsageError(f"{kind!r} is no kind of fault; known are {', '.join(KINDS)}")
    if not chosen:
        raise click.UsageError("--kinds names none")
    return chosen


def _tell(trial: Trial) -> None:
    done = trial.done or "nothing, the run ended before"
    click.echo(f"{trial.index:5} {trial.kind:16} {trial.outcome:10} {done}", err=True)
    if trial.outcome in ("silent", "hang", "detected"):
        click.echo(f"      {trial.detail}; again: {trial.repeat}", err=True)


def _repeat() -> str:
    """This command line without what names the fault."""
    context = click.get_current_context()
    words = ["bnnpan", "sim", "campaign"]
    for name in ("size", "pan", "ms", "bundle", "memory", "tile", "work"):
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            words += [f"--{name}", str(context.params[name])]
    return shlex.join([*words, *(["--cold"] if context.params["cold"] else [])])
