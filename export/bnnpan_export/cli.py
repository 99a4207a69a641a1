"""`bnnpan export`: from a run folder to one `.bnnpan` file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bnnpan_runtime.cli.output_file import check_output

if TYPE_CHECKING:
    from bnnpan_export.signing import SigningKey
    from bnnpan_runtime.contract import Manifest


@click.command("export", short_help="Make a bundle from a trained network.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Bundle to write, NAME.bnnpan.")
@click.option("--formats", help="Any of onnx,tflite,bits; default: all that can be made here.")
@click.option("--model-card", type=click.Path(path_type=Path), help="Markdown file to put into the bundle.")
@click.option(
    "--parity-data",
    type=click.Path(path_type=Path),
    help="Data manifest; parity is measured on its validation pairs instead of synthetic tiles.",
)
@click.option("--id", "bundle_id", help="Name of the network in the bundle; default: that of the file.")
@click.option("--sensor", help="Sensor the network is for; default: the one of the experiment.")
@click.option("--sign", type=click.Path(path_type=Path), metavar="KEY", help="Sign with this private key.")
@click.option(
    "--rollback-counter",
    type=click.IntRange(0, 2**53 - 1),
    default=0,
    show_default=True,
    help="Boards that have run a bundle of this name with a higher one refuse this bundle.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing bundle.")
@click.option("--explain", "explained", is_flag=True, help="Also print what every pass did.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    run: Path,
    out: Path,
    formats: str | None,
    model_card: Path | None,
    parity_data: Path | None,
    bundle_id: str | None,
    sensor: str | None,
    sign: Path | None,
    rollback_counter: int,
    overwrite: bool,
    explained: bool,
    as_json: bool,
) -> None:
    """Freeze the network of RUN (a run folder or its model.safetensors) into one bundle for boards.

    Every form in it is compared with the PyTorch network; nothing is written if one is too far off.

    \b
    Example:
      bnnpan export runs/first --out first.bnnpan --parity-data DATA/manifest.json
    """
    wanted = _parse_formats(formats)
    check_output(out, overwrite)
    key = None if sign is None else _signing_key(sign)
    from bnnpan.checkpoint import load_model
    from bnnpan_export.assemble import Identity, export_bundle
    from bnnpan_export.bundle import write_bundle
    from bnnpan_export.explain import explain, table
    from bnnpan_export.scenes import real_scenes

    model, experiment, provenance = load_model(run)
    data, ratio = experiment.data, experiment.model.ratio
    identity = Identity(
        id=bundle_id or out.stem,
        sensor=sensor or data.sensor,
        band_roles=tuple(data.bands),
        bit_depth=data.bit_depth,
        phase=data.phase,
        rollback_counter=rollback_counter,
    )
    scenes = []
    if parity_data is not None:
        scenes = real_scenes(parity_data, data.bands, ratio, data.phase, experiment.model.units)
    card = None if model_card is None else _read(model_card)
    exported = export_bundle(
        model, identity, wanted, scenes, card, provenance, lambda line: click.echo(line, err=True), key
    )
    write_bundle(out, exported.content)
    size = len(exported.content)
    steps = explain(model) if explained else []
    if as_json:
        passes = {"passes": [step.to_json() for step in steps]} if explained else {}
        result = {"bundle": str(out), "size_bytes": size, "manifest": exported.manifest.to_json(), **passes}
        click.echo(json.dumps(result))
    else:
        if explained:
            click.echo(table(steps, exported.manifest.files) + "\n")
        click.echo(summary(exported.manifest))
        click.echo(f"{out}: {size / 1024:.0f} KiB")


def summary(manifest: Manifest) -> str:
    """Parity, sizes and memory as aligned text."""
    lines = [f"{'form':<22} {'largest DN':>11} {'RMS DN':>11} {'share > 1 DN':>13}"]
    for name, parity in manifest.parity.items():
        lines.append(
            f"{name:<22} {parity.largest_dn:11.3g} {parity.rms_dn:11.3g} {parity.share_over_1dn:13.3g}"
        )
    lines += ["", f"{'file':<22} {'bytes':>11}"]
    lines += [f"{name:<22} {entry.size_bytes:11d}" for name, entry in sorted(manifest.files.items())]
    lines += ["", f"halo {manifest.halo} PAN pixels"]
    for name, memory in manifest.memory.items():
        fixed_mib = memory.fixed_bytes / 2**20
        lines.append(
            f"memory of {name}: {fixed_mib:.0f} MiB + {memory.bytes_per_window_pixel:.0f} bytes per pixel"
        )
    return "\n".join(lines)


def _parse_formats(text: str | None) -> list[str] | None:
    if text is None:
        return None
    from bnnpan_export.assemble import FORMATS

    formats = [name.strip() for name in text.split(",")]
    for name in formats:
        if name not in FORMATS:
            raise click.BadParameter(
                f"{name!r} is not a format: choose from {', '.join(FORMATS)}", param_hint="--formats"
            )
    return formats


def _signing_key(path: Path) -> SigningKey:
    """Read before the work begins, so that a wrong passphrase costs no export."""
    from bnnpan_export.key_cli import key_passphrase
    from bnnpan_export.signing import read_key

    return read_key(path, key_passphrase)


def _read(path: Path) -> bytes:
    from bnnpan_runtime.errors import ConfigError

    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: give a readable model card") from error
