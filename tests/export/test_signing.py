"""Keys of the ground: made, kept, and what they sign is what a board verifies."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from requirements import require_package

from bnnpan.checkpoint import save_model
from bnnpan.config import Experiment
from bnnpan_export.cli import command as export_command
from bnnpan_export.key_cli import command as key_command
from bnnpan_export.key_cli import sign_command
from bnnpan_export.untrained import random_network
from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.container import read_entry
from bnnpan_runtime.contract import MANIFEST_NAME
from bnnpan_runtime.errors import ConfigError, OutputError, TrustError
from bnnpan_runtime.trust.policy import Trust
from bnnpan_runtime.trust.ring import read_ring

from .conftest import SMALL

require_package("cryptography")


def key(*arguments: object, **more: object) -> Result:
    return CliRunner().invoke(key_command, [str(argument) for argument in arguments], **more)  # type: ignore[arg-type]


def sign(bundle: Path, path: Path) -> Result:
    return CliRunner().invoke(sign_command, [str(bundle), "--key", str(path)])


@pytest.fixture
def ground(tmp_path: Path) -> Path:
    assert key("new", "--out", tmp_path / "ground.key").exit_code == 0
    return tmp_path / "ground.key"


@pytest.fixture
def ring(ground: Path) -> Path:
    return ground.with_name("ground.key.pub.toml")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (path := tmp_path / "b.bnnpan").write_bytes(Bundle.open("bgrn-x4").path.read_bytes())
    return path


def test_only_its_owner_reads_a_private_key_and_boards_get_a_ring(ground: Path, ring: Path):
    assert stat.S_IMODE(ground.stat().st_mode) == 0o600
    assert b"PRIVATE KEY" in ground.read_bytes()
    (only,) = read_ring(ring).values()
    assert only.name == "ground" and only.id in key("show", ground).stdout


def test_a_key_is_never_replaced(ground: Path, ring: Path):
    before = ground.read_bytes(), ring.read_bytes()
    assert isinstance(key("new", "--out", ground).exception, OutputError)
    ring.unlink()
    assert isinstance(key("new", "--out", ground).exception, OutputError)
    assert ground.read_bytes() == before[0]


def test_what_the_ground_signs_a_board_trusts(ground: Path, ring: Path, bundle: Path):
    with pytest.raises(TrustError):
        Trust(ring).check(Bundle.open(bundle))
    before = Bundle.open(bundle).sha256
    assert sign(bundle, ground).exit_code == 0
    assert Trust(ring).check(Bundle.open(bundle)).name == "ground"
    assert Bundle.open(bundle).sha256 == before, "a signature changes nothing that is signed"


def test_signing_twice_is_signing_once_and_other_keys_stay(ground: Path, bundle: Path, tmp_path: Path):
    assert sign(bundle, ground).exit_code == 0
    once = bundle.read_bytes()
    assert sign(bundle, ground).exit_code == 0 and bundle.read_bytes() == once
    assert key("new", "--out", tmp_path / "next.key", "--name", "next").exit_code == 0
    assert sign(bundle, tmp_path / "next.key").exit_code == 0
    assert len(Bundle.open(bundle).signatures()) == 2
    for name in ("ground", "next"):
        assert Trust(tmp_path / f"{name}.key.pub.toml").check(Bundle.open(bundle)).name == name


def test_a_signature_is_one_that_openssl_verifies(ground: Path, bundle: Path, tmp_path: Path):
    assert sign(bundle, ground).exit_code == 0
    opened = Bundle.open(bundle)
    (tmp_path / "manifest.json").write_bytes(read_entry(bundle, opened.entries[MANIFEST_NAME]))
    (tmp_path / "signature").write_bytes(opened.signatures()[0].value)
    key_options = ("-pubin", "-inkey", "public.pem", "-rawin")
    commands = [
        ["openssl", "pkey", "-in", "ground.key", "-pubout", "-out", "public.pem"],
        ["openssl", "pkeyutl", "-verify", *key_options, "-in", "manifest.json", "-sigfile", "signature"],
    ]
    for command in commands:
        try:
            subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("no openssl here")


def test_an_encrypted_key_asks_for_its_passphrase(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "safe.key"
    assert key("new", "--out", path, "--encrypt", input="secret\nsecret\n").exit_code == 0
    assert b"ENCRYPTED" in path.read_bytes()
    monkeypatch.setenv("BNNPAN_KEY_PASSPHRASE", "wrong")
    assert isinstance(sign(bundle, path).exception, ConfigError)
    monkeypatch.setenv("BNNPAN_KEY_PASSPHRASE", "secret")
    assert sign(bundle, path).exit_code == 0
    assert Trust(tmp_path / "safe.key.pub.toml").check(Bundle.open(bundle)).name == "safe"


@pytest.mark.parametrize(
    "content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nMC4\n-----END PRIVATE KEY-----\n"]
)
def test_what_is_no_key_is_named(bundle: Path, tmp_path: Path, content: bytes):
    (path := tmp_path / "no.key").write_bytes(content)
    error = sign(bundle, path).exception
    assert isinstance(error, ConfigError) and str(path) in str(error)
    assert isinstance(sign(bundle, tmp_path / "absent").exception, ConfigError)


def test_a_name_no_ring_can_hold_is_refused(tmp_path: Path):
    assert isinstance(key("new", "--out", tmp_path / "k", "--name", 'a"b').exception, ConfigError)
    assert not list(tmp_path.iterdir())


def test_export_signs_and_counts(ground: Path, ring: Path, tmp_path: Path):
    run, out = tmp_path / "run", tmp_path / "small.bnnpan"
    run.mkdir()
    save_model(run / "model.safetensors", random_network(SMALL), Experiment(model=SMALL), {})
    arguments = [run, "--out", out, "--formats", "bits", "--sign", ground, "--rollback-counter", 7]
    result = CliRunner().invoke(export_command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    assert Trust(ring).check(Bundle.open(out)).name == "ground"
    assert Bundle.open(out).manifest.rollback_counter == 7
