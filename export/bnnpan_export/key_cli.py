"""`bnnpan key` and `bnnpan bundle sign`: keys of the ground, and bundles signed with them."""

from __future__ import annotations

import os
from pathlib import Path

import click

__all__ = ["command", "key_passphrase", "sign_command"]

_PASSPHRASE = "BNNPAN_KEY_PASSPHRASE"


def key_passphrase(confirm: bool = False) -> bytes:
    """From the environment, for scripts, else from the terminal."""
    text = os.environ.get(_PASSPHRASE)
    if text is None:
        text = click.prompt("Passphrase of the key", hide_input=True, confirmation_prompt=confirm, err=True)
    return str(text).encode()


@click.group("key", short_help="Make keys that sign bundles.")
def command() -> None:
    """Make and show the keys that sign bundles.

    \b
    Example:
      bnnpan key new --out ground.key
    """


@command.command("new")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, metavar="KEY", help="Private key file."
)
@click.option("--name", help="What boards call the key.  [default: the name of the file]")
@click.option("--encrypt", is_flag=True, help=f"Ask for a passphrase, or take it from ${_PASSPHRASE}.")
def new(out: Path, name: str | None, encrypt: bool) -> None:
    """Make a key pair: KEY, which stays on the ground, and KEY.pub.toml, which boards trust.

    \b
    Example:
      bnnpan key new --out ground.key
    """
    from bnnpan_export.signing import new_key, public_path

    key = new_key(out, name or out.stem, key_passphrase(confirm=True) if encrypt else None)
    click.echo(f"{key}: private key {out}, public key {public_path(out)}")


@command.command("show")
@click.argument("key", type=click.Path(path_type=Path))
def show(key: Path) -> None:
    """Print the public key of KEY as a part of a key ring.

    \b
    Example:
      bnnpan key show ground.key
    """
    from bnnpan_export.signing import read_key
    from bnnpan_runtime.trust.ring import TrustedKey, format_key

    click.echo(format_key(TrustedKey(key.stem, read_key(key, key_passphrase).public_key)), nl=False)


@click.command("sign", short_help="Sign a bundle.")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--key", type=click.Path(path_type=Path), required=True, metavar="KEY", help="Private key file."
)
def sign_command(bundle: Path, key: Path) -> None:
    """Sign BUNDLE with KEY, in its place; signatures of other keys stay, an older one of KEY does not.

    \b
    Example:
      bnnpan bundle sign first.bnnpan --key ground.key
    """
    from bnnpan_export.signing import read_key, signed
    from bnnpan_runtime.bundle import Bundle
    from bnnpan_runtime.durable_file import write_file

    signing_key = read_key(key, key_passphrase)
    opened = Bundle.open(bundle)
    write_file(opened.path, signed(opened, signing_key))
    names = ", ".join(signature.key_id for signature in Bundle.open(bundle).signatures())
    counter = opened.manifest.rollback_counter
    click.echo(f"{bundle}: {opened.manifest.id}, rollback counter {counter}, signed by {names}")
