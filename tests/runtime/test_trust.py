"""Who may run here: signatures, key rings, rollback counters, and what commands do about them."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import rasterio
from command_line import run
from raw_scenes import SceneWriter
from signing_keys import Key, entries_of, signed_copy

from bnnpan_runtime.bundle import Bundle
from bnnpan_runtime.container_writer import pack_entries
from bnnpan_runtime.contract import MANIFEST_NAME, SIGNATURES_NAME
from bnnpan_runtime.errors import TrustError
from bnnpan_runtime.run import fuse
from bnnpan_runtime.trust import policy
from bnnpan_runtime.trust.policy import INSTALLED, UNSIGNED, Signer, Trust
from bnnpan_runtime.trust.ring import parse_ring, read_ring

GROUND, SECOND = Key.number(1), Key.number(2)
Counted = Callable[..., Bundle]


@pytest.fixture
def ring(tmp_path: Path) -> Path:
    (path := tmp_path / "trust.toml").write_text(GROUND.on_ring())
    return path


@pytest.fixture
def counted(bundle: Bundle, tmp_path: Path) -> Counted:
    """The shipped bundle with another counter or other fields, signed."""

    def make(counter: int = 0, *keys: Key, **changes: object) -> Bundle:
        files = entries_of(bundle)
        manifest = json.loads(files[MANIFEST_NAME]) | {"rollback_counter": counter} | changes
        files[MANIFEST_NAME] = json.dumps(manifest).encode()
        (draft := tmp_path / "draft").write_bytes(pack_entries(files))
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.bnnpan"
        return Bundle.open(signed_copy(Bundle.open(draft), path, *(keys or (GROUND,))))

    return make


def refusal(trust: Trust, bundle: Bundle) -> str:
    with pytest.raises(TrustError) as caught:
        trust.check(bundle)
    message = str(caught.value)
    assert "\n" not in message and str(bundle.path) in message and "--allow-unsigned" in message
    return message


def test_a_bundle_signed_by_a_key_of_the_ring_is_trusted(counted: Counted, ring: Path):
    assert Trust(ring).check(counted()) == Signer("ground", GROUND.id)


def test_one_trusted_signature_of_several_is_enough(counted: Counted, ring: Path):
    assert Trust(ring).check(counted(0, SECOND, GROUND)).key_id == GROUND.id


def test_the_installed_bundle_needs_no_key(bundle: Bundle, tmp_path: Path):
    assert Trust(None).check(bundle) == INSTALLED
    (link := tmp_path / "link").symlink_to(bundle.path)
    assert Trust(None).check(Bundle.open(link)) == INSTALLED


def test_a_copy_of_the_installed_bundle_is_not_signed(bundle: Bundle, tmp_path: Path, ring: Path):
    assert "is not signed" in refusal(Trust(ring), Bundle.open(signed_copy(bundle, tmp_path / "copy")))


def test_without_a_ring_no_signature_counts(counted: Counted):
    assert "no key ring" in refusal(Trust(None), counted())


def test_a_key_that_is_not_on_the_ring_is_named(counted: Counted, ring: Path):
    assert f"key {SECOND.id} is not in {ring}" in refusal(Trust(ring), counted(0, SECOND))


def test_a_revoked_key_vouches_for_nothing_and_another_one_still_does(counted: Counted, ring: Path):
    ring.write_text(GROUND.on_ring(extra="revoked = true\n") + SECOND.on_ring("next"))
    assert f"ground ({GROUND.id}) is revoked" in refusal(Trust(ring), counted())
    assert Trust(ring).check(counted(0, GROUND, SECOND)) == Signer("next", SECOND.id)


def test_a_key_vouches_only_for_the_bundles_and_sensors_it_is_for(counted: Counted, ring: Path):
    ring.write_text(GROUND.on_ring(extra='bundles = ["bgrn-*"]\nsensors = ["WorldView-?"]\n'))
    assert Trust(ring).check(counted(sensor="WorldView-2"))
    assert "may not sign" in refusal(Trust(ring), counted(sensor="GeoEye-1"))
    assert "may not sign" in refusal(Trust(ring), counted(id="other", sensor="WorldView-2"))


def test_a_forged_signature_is_refused(counted: Counted, ring: Path, tmp_path: Path):
    def with_manifest_of(other: Bundle) -> Bundle:
        files = entries_of(counted(1))
        files[MANIFEST_NAME] = entries_of(other)[MANIFEST_NAME]
        (path := tmp_path / "forged").write_bytes(pack_entries(files))
        return Bundle.open(path)

    assert "forged" in refusal(Trust(ring), with_manifest_of(counted(2)))
    stolen = Key(SECOND.seed)  # signs with one key and names another
    files = entries_of(counted(1, stolen))
    files[SIGNATURES_NAME] = files[SIGNATURES_NAME].replace(SECOND.id.encode(), GROUND.id.encode())
    (path := tmp_path / "stolen").write_bytes(pack_entries(files))
    assert "forged" in refusal(Trust(ring), Bundle.open(path))


def test_an_older_counter_is_refused_with_both_numbers(counted: Counted, ring: Path):
    trust, newer, older = Trust(ring), counted(7), counted(6)
    trust.remember(newer.manifest, trust.check(newer))
    message = refusal(trust, older)
    assert "counter 6" in message and "older than 7" in message
    assert trust.check(newer) and trust.check(counted(8))
    assert trust.check(counted(0, id="another")), "counters are kept by the bundles' ids"


def test_counters_lie_beside_the_ring_unless_said_otherwise(counted: Counted, ring: Path, tmp_path: Path):
    newer = counted(3)
    Trust(ring).remember(newer.manifest, Trust(ring).check(newer))
    kept = json.loads((tmp_path / "trust.counters.json").read_text())
    assert kept == {"schema": 1, "counters": {newer.manifest.id: 3}}
    elsewhere = Trust(ring, tmp_path / "new" / "state.json")
    assert elsewhere.check(counted(2))
    elsewhere.remember(newer.manifest, elsewhere.check(newer))
    refusal(elsewhere, counted(2))


def test_a_counter_never_falls_and_other_counters_stay(counted: Counted, ring: Path, tmp_path: Path):
    trust = Trust(ring)
    bundles = [counted(number, id=name) for number, name in [(1, "a"), (5, "b"), (3, "a"), (0, "c")]]
    for bundle in bundles:
        trust.remember(bundle.manifest, trust.check(bundle))
    with pytest.raises(TrustError):
        trust.remember(bundles[0].manifest, Signer("ground", GROUND.id))
    assert json.loads((tmp_path / "trust.counters.json").read_text())["counters"] == {"a": 3, "b": 5}


def test_runs_at_the_same_time_do_not_forget_each_others_counters(
    counted: Counted, ring: Path, tmp_path: Path
):
    manifest, signer = counted().manifest, Signer("ground", GROUND.id)
    manifests = [replace(manifest, id=f"b{number}", rollback_counter=number + 1) for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda item: Trust(ring).remember(item, signer), manifests))
    kept = json.loads((tmp_path / "trust.counters.json").read_text())["counters"]
    assert kept == {f"b{number}": number + 1 for number in range(12)}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{",
        '{"schema": 2, "counters": {}}',
        '{"schema": 1, "counters": []}',
        '{"schema": 1, "counters": {"a": -1}}',
        '{"schema": 1, "counters": {"a": true}}',
        "[" * 10_000,
        " " * (2**20 + 1),
    ],
)
def test_a_damaged_state_lets_nothing_through(counted: Counted, ring: Path, tmp_path: Path, content: str):
    (tmp_path / "trust.counters.json").write_text(content)
    assert "delete it" in refusal(Trust(ring), counted(9))


def test_a_counter_that_cannot_be_kept_stops_the_run(counted: Counted, ring: Path, tmp_path: Path):
    (blocked := tmp_path / "file").write_text("not a folder")
    trust = Trust(ring, blocked / "state.json")
    with pytest.raises(TrustError, match=r"--state|cannot read"):
        trust.remember(counted(1).manifest, Signer("ground", GROUND.id))


def test_allowing_unsigned_bundles_is_loud_and_remembers_nothing(
    counted: Counted, ring: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    trust, stranger = Trust(ring, allow_unsigned=True), counted(9, SECOND)
    with caplog.at_level(logging.WARNING):
        assert trust.check(stranger) == UNSIGNED
    assert str(stranger.path) in caplog.text and SECOND.id in caplog.text
    trust.remember(stranger.manifest, UNSIGNED)
    assert not (tmp_path / "trust.counters.json").exists()
    assert trust.check(counted(1)).key_id == GROUND.id, "a trusted one is still told by its key"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("key = 1", "tables"),
        ("keys = []", "keys is not known"),
        ("[[key]]\nname = 'a'", "public_key is missing"),
        (f"[[key]]\nname = 1\npublic_key = '{GROUND.public.hex()}'", "name"),
        (f"[[key]]\nname = ''\npublic_key = '{GROUND.public.hex()}'", "1 to 64 letters"),
        (f"[[key]]\nname = 'a'\npublic_key = '{GROUND.public.hex()}'\nrevoked = 'no'", "revoked"),
        (f"[[key]]\nname = 'a'\npublic_key = '{GROUND.public.hex()}'\nbundles = [1]", "bundles"),
        (f"[[key]]\nname = 'a'\npublic_key = '{GROUND.public.hex()}'\nexpires = 1", "expires"),
        ("[[key]]\nname = 'a'\npublic_key = 'xyz'", "hex"),
        ("[[key]]\nname = 'a'\npublic_key = '00'", "32 bytes"),
        (f"[[key]]\nname = 'a'\npublic_key = '{'00' * 32}'", "Ed25519"),
        (GROUND.on_ring() * 2, "twice"),
        ("[[key]]\n" * 65, "64"),
        ("[" * 5000, "TOML|nested|Invalid|Cannot|Expected"),
        ("# " + "x" * 2**16, "more than"),
        ("\x00", "Illegal|Invalid"),
    ],
)
def test_a_ring_that_is_not_one_is_refused_whole(tmp_path: Path, text: str, reason: str):
    (path := tmp_path / "ring").write_text(text)
    with pytest.raises(TrustError, match=reason) as caught:
        read_ring(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_ring_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(TrustError, match="absent"):
        read_ring(tmp_path / "absent")
    assert parse_ring(b"") == {}


def test_the_boards_ring_comes_before_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(policy, "_SYSTEM_RING", tmp_path / "etc.toml")
    assert policy.default_ring() is None
    (user := tmp_path / "bnnpan" / "trust.toml").parent.mkdir()
    user.write_text("")
    assert policy.default_ring() == user
    (tmp_path / "etc.toml").write_text("")
    assert policy.default_ring() == tmp_path / "etc.toml"


# Commands


@pytest.fixture
def fusing(write_scene: SceneWriter, tmp_path: Path) -> tuple[object, ...]:
    raw = write_scene()
    rasters = ("--pan", raw.pan, "--ms", raw.ms, "--memory", "4GiB", "--bit-depth", 11)
    return ("fuse", *rasters, "--out", tmp_path / "product.tif", "--json", "--overwrite", "--bundle")


def test_fuse_tells_who_signed_and_keeps_older_bundles_out(
    counted: Counted, ring: Path, tmp_path: Path, fusing: tuple[object, ...]
):
    code, out, _ = run(*fusing, counted(4).path, "--trust", ring)
    report = json.loads(out)
    assert code == 0 and (report["signer"], report["signer_key_id"]) == ("ground", GROUND.id)
    with rasterio.open(report["product"]) as product:
        assert product.tags()["BNNPAN_SIGNER"] == f"ground ({GROUND.id})"
    code, _, err = run(*fusing, counted(3).path, "--trust", ring)
    assert code == 10 and "older than 4" in err
    assert run("plan", *fusing[1:7], "--bundle", counted(3).path, "--trust", ring)[0] == 10
    assert run("verify", counted(3).path, "--backend", "native", "--trust", ring)[0] == 8


def test_plan_and_verify_try_a_bundle_without_keeping_older_ones_out(
    counted: Counted, ring: Path, tmp_path: Path, fusing: tuple[object, ...]
):
    candidate = counted(4).path
    assert run("plan", *fusing[1:7], "--bundle", candidate, "--trust", ring)[0] == 0
    assert run("verify", candidate, "--backend", "native", "--trust", ring)[0] == 0
    assert run("verify", counted(3).path, "--backend", "native", "--trust", ring)[0] == 0


def test_fuse_plan_and_verify_refuse_what_nobody_vouches_for(
    bundle: Bundle, tmp_path: Path, fusing: tuple[object, ...]
):
    path = signed_copy(bundle, tmp_path / "unsigned.bnnpan")
    for arguments in (fusing, ("plan", *fusing[1:7], "--bundle")):
        code, _, err = run(*arguments, path)
        assert code == 10 and "not signed" in err and not (tmp_path / "product.tif").exists()
    assert run("verify", path, "--backend", "native")[0] == 8
    code, out, err = run(*fusing, path, "--allow-unsigned")
    assert code == 0 and "WARNING" in err and json.loads(out)["signer"] == "unsigned"
    with rasterio.open(tmp_path / "product.tif") as product:
        assert product.tags()["BNNPAN_SIGNER"] == "unsigned"
    code, out, _ = run("verify", path, "--backend", "native", "--allow-unsigned", "--json")
    assert (
        code == 0
        and {check["name"]: check["passed"] for check in json.loads(out)["checks"]}["signature"] is None
    )


def test_a_network_nobody_vouches_for_falls_back_if_that_is_allowed(
    bundle: Bundle, tmp_path: Path, fusing: tuple[object, ...]
):
    path = signed_copy(bundle, tmp_path / "unsigned.bnnpan")
    code, out, _ = run(*fusing, path, "--fallback")
    report = json.loads(out)
    assert code == 0 and report["signer"] is None and "not signed" in report["fallback_reason"]


def test_ring_and_state_may_come_from_the_environment(
    counted: Counted, ring: Path, tmp_path: Path, fusing: tuple[object, ...], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BNNPAN_TRUST", str(ring))
    monkeypatch.setenv("BNNPAN_TRUST_STATE", str(tmp_path / "state.json"))
    assert run(*fusing, counted(4).path)[0] == 0
    assert json.loads((tmp_path / "state.json").read_text())["counters"]


def test_the_python_interface_checks_what_it_is_asked_to(
    bundle: Bundle, counted: Counted, ring: Path, tmp_path: Path, write_scene: SceneWriter
):
    raw, copy = write_scene(), signed_copy(bundle, tmp_path / "unsigned.bnnpan")

    def signer(source: object, trust: Trust | None) -> str | None:
        out = tmp_path / "product.tif"
        report = fuse(raw.pan, raw.ms, source, out, memory="4GiB", bit_depth=11, overwrite=True, trust=trust)  # type: ignore[arg-type]
        return report.signer

    assert signer("bgrn-x4", None) == signer("bgrn-x4", Trust(None)) == "installed"
    assert signer(copy, None) == "unchecked"
    assert signer(counted().path, Trust(ring)) == "ground"
    with pytest.raises(TrustError):
        signer(copy, Trust(ring))
    assert os.path.exists(tmp_path / "product.tif")
