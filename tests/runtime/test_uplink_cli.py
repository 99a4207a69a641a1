"""`bnnpan bundle diff`, `apply`, `split`, `join`: a board gets the new bundle whole, or keeps the old one."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from command_line import ok, refusal, run
from safetensors.numpy import load, save
from signing_keys import Key, entries_of, signed_copy

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.container import read_directory
from bnnpan_runtime.container_writer import pack_entries
from bnnpan_runtime.contract import MANIFEST_NAME, WEIGHTS_NAME
from bnnpan_runtime.durable_file import replacing
from bnnpan_runtime.errors import OutputError

GROUND = Key.number(1)


def changed(bundle: Bundle, path: Path, bias: float, **fields: object) -> Path:
    """The bundle with another bias of the calibration, signed; its golden tile is the old one."""
    files = entries_of(bundle)
    tensors = load(files[WEIGHTS_NAME])
    tensors["cdc.bias"] = tensors["cdc.bias"] + np.float32(bias)
    files[WEIGHTS_NAME] = save({name: tensors[name] for name in sorted(tensors)})
    manifest = json.loads(files[MANIFEST_NAME]) | fields
    weights = files[WEIGHTS_NAME]
    manifest["files"][WEIGHTS_NAME] = {
        "sha256": hashlib.sha256(weights).hexdigest(),
        "size_bytes": len(weights),
    }
    files[MANIFEST_NAME] = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    path.write_bytes(pack_entries(files))
    return signed_copy(Bundle.open(path), path, GROUND)


@pytest.fixture
def board(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an old bundle, a new one, the patch between them, and a key ring."""
    (tmp_path / "trust.toml").write_text(GROUND.on_ring())
    monkeypatch.setenv("BNNPAN_TRUST", str(tmp_path / "trust.toml"))
    signed_copy(bundle, tmp_path / "old.bnnpan", GROUND)
    changed(bundle, tmp_path / "new.bnnpan", 1e-7, rollback_counter=1)
    ok("bundle", "diff", tmp_path / "old.bnnpan", tmp_path / "new.bnnpan", "--out", tmp_path / "update.patch")
    return tmp_path


def listing(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_patch_makes_the_very_file_of_the_ground(board: Path):
    out = json.loads(
        ok(
            "bundle",
            "apply",
            board / "old.bnnpan",
            board / "update.patch",
            "--out",
            board / "made.bnnpan",
            "--json",
        )
    )
    assert (board / "made.bnnpan").read_bytes() == (board / "new.bnnpan").read_bytes()
    assert out["identical"] is True and out["manifest_sha256"] == Bundle.open(board / "new.bnnpan").sha256


def test_a_patch_is_small_and_says_how_small(board: Path):
    out = json.loads(
        ok(
            "bundle",
            "diff",
            board / "old.bnnpan",
            board / "new.bnnpan",
            "--out",
            board / "again.patch",
            "--json",
        )
    )
    assert out["size_bytes"] == (board / "again.patch").stat().st_size < 3000
    assert out["bundle_bytes"] == (board / "new.bnnpan").stat().st_size
    assert "exists" in refusal(
        6, "bundle", "diff", board / "old.bnnpan", board / "new.bnnpan", "--out", board / "again.patch"
    )


def test_a_bundle_may_be_updated_in_its_place_after_its_golden_tile(board: Path):
    old = board / "old.bnnpan"
    ok("bundle", "apply", old, board / "update.patch", "--out", old, "--self-test")
    assert old.read_bytes() == (board / "new.bnnpan").read_bytes()
    assert not [name for name in listing(board) if "partial" in name]


def test_whatever_fails_the_old_bundle_stays(board: Path, bundle: Bundle):
    old, patch = board / "old.bnnpan", board / "update.patch"
    before, names = old.read_bytes(), listing(board)

    def kept(code: int, *arguments: object) -> str:
        message = refusal(code, "bundle", "apply", old, *arguments, "--out", old)
        assert old.read_bytes() == before
        assert not [name for name in listing(board) if "partial" in name]
        return message

    def patch_to(path: Path) -> Path:
        ok("bundle", "diff", old, path, "--out", board / f"{path.name}.patch", "--overwrite")
        return board / f"{path.name}.patch"

    damaged = bytearray(patch.read_bytes())
    damaged[-1] ^= 1
    (board / "damaged").write_bytes(damaged)
    assert "checksum" in kept(4, board / "damaged")
    (board / "none").write_bytes(b"no patch")
    assert "not a patch" in kept(4, board / "none")
    assert "cannot read" in kept(4, board / "absent")
    unsigned = signed_copy(Bundle.open(board / "new.bnnpan"), board / "unsigned")
    assert "not signed" in kept(10, patch_to(unsigned))
    stranger = signed_copy(Bundle.open(board / "new.bnnpan"), board / "stranger", Key.number(2))
    assert "not in" in kept(10, patch_to(stranger))
    wrong = changed(bundle, board / "wrong", 1.0)
    assert "golden tile" in kept(8, patch_to(wrong), "--self-test")
    (board / "trust.counters.json").write_text('{"schema": 1, "counters": {"bgrn-x4": 2}}')
    assert "older than 2" in kept(10, patch)
    assert names <= listing(board)


def test_what_was_looked_at_is_what_gets_the_name(tmp_path: Path):
    path = tmp_path / "bundle"
    (tmp_path / ".bundle.partial").write_bytes(b"left by a killed process")
    with replacing(path, b"first") as partial:
        with pytest.raises(OutputError, match="being written by another"), replacing(path, b"second"):
            pass
        assert partial.read_bytes() == b"first"
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("bundle", b"first")]


def test_a_patch_fits_the_old_bundle_whoever_signed_it(board: Path, bundle: Bundle):
    ok("bundle", "apply", bundle.path, board / "update.patch", "--out", board / "made.bnnpan")
    assert (board / "made.bnnpan").read_bytes() == (board / "new.bnnpan").read_bytes()


def test_a_patch_needs_its_old_bundle(board: Path):
    message = refusal(
        4, "bundle", "apply", board / "new.bnnpan", board / "update.patch", "--out", board / "o.bnnpan"
    )
    assert "is for the bundle" in message and not (board / "o.bnnpan").exists()


def test_another_way_of_packing_gives_the_same_bundle(board: Path):
    """As with another zlib: other bytes of the container, the same manifest."""
    packed = board / "new.bnnpan"
    files = entries_of(Bundle.open(packed))
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    ok("bundle", "diff", board / "old.bnnpan", packed, "--out", board / "update.patch", "--overwrite")
    out = ok(
        "bundle",
        "apply",
        board / "old.bnnpan",
        board / "update.patch",
        "--out",
        board / "made.bnnpan",
        "--json",
    )
    assert json.loads(out)["identical"] is False
    assert Bundle.open(board / "made.bnnpan").sha256 == Bundle.open(packed).sha256
    assert set(read_directory(board / "made.bnnpan")) == set(files)


def test_a_bundle_goes_through_a_lossy_link(board: Path):
    new, sent, arrived = board / "new.bnnpan", board / "sent", board / "arrived"
    paths = json.loads(ok("bundle", "split", new, "--packets", 1024, "--out", sent, "--json"))["packets"]
    assert len(paths) == -(-new.stat().st_size // (1024 - 34)) and all(
        Path(p).stat().st_size <= 1024 for p in paths
    )
    arrived.mkdir()
    for number, path in enumerate(paths):
        if number % 50 != 7:
            shutil.copy(path, arrived / f"radio-{hash(path)}")
    (arrived / "noise").write_bytes(b"noise")
    (arrived / "long").write_bytes(bytes(100_000))
    (arrived / "folder").mkdir()
    message = refusal(11, "bundle", "join", arrived, "--out", board / "joined")
    assert "send again: 7, 57, 107" in message and not (board / "joined").exists()
    code, out, _ = run("bundle", "join", arrived, "--out", board / "joined", "--json")
    progress = json.loads(out)
    assert code == 11 and progress["complete"] is False and progress["damaged"] == 2
    for number in progress["resend"]:
        shutil.copy(paths[number], arrived)
    ok("bundle", "join", arrived, "--out", board / "joined")
    assert (board / "joined").read_bytes() == new.read_bytes()


def test_a_folder_without_packets_asks_for_all(tmp_path: Path):
    assert "send all" in refusal(11, "bundle", "join", tmp_path, "--out", tmp_path / "out")
    assert "cannot read" in refusal(4, "bundle", "join", tmp_path / "absent", "--out", tmp_path / "out")


def test_outputs_are_not_replaced_unasked(board: Path):
    (board / "out").write_text("mine")
    for arguments in (("apply", board / "old.bnnpan", board / "update.patch"), ("join", board)):
        assert "exists" in refusal(6, "bundle", *arguments, "--out", board / "out")
        assert "folder" in refusal(6, "bundle", *arguments, "--out", board / "no" / "out")
    assert (board / "out").read_text() == "mine"
