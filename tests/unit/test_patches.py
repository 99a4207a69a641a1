from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bnnpan.data.appearance import in_units, pair_units
from bnnpan.data.pairs import BGRN, Pair, load_pairs
from bnnpan.data.patches import VARIANT_GAINS, Augmentation, PatchSampler
from bnnpan.data.wald import seen_by_ms
from bnnpan_runtime.contract import Phase, Units
from bnnpan_runtime.errors import ConfigError, SceneError

PLAIN = Augmentation(
    vary_mtf=False, band_log_gain=0, common_log_gain=0, simulated_pan_share=0, pan_noise=0, flips=False
)


def write(path: Path, image: NDArray[Any]) -> str:
    count, height, width = image.shape
    profile = {"driver": "GTiff", "dtype": "uint16", "count": count, "height": height, "width": width}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(image.astype(np.uint16))
    return path.name


def item(name: str, split: str, files: dict[str, str], **more: Any) -> dict[str, Any]:
    common = {
        "sensor": "WorldView-2",
        "use": "training and evaluation",
        "bit_depth": 11,
        "ratio": 4,
        "band_names": ["nir", "red", "green", "blue"],
    }
    return {"name": name, "split": split, "files": files, **common, **more}


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Scenes of every kind the manifest format knows, small and random."""
    random = np.random.default_rng(0)
    ms = random.integers(100, 1800, (4, 98, 101))
    pan = random.integers(100, 1800, (1, 392, 404))
    dark = ms.copy()
    dark[:, :10] = 0
    files = {"ms": write(tmp_path / "ms.tif", ms), "pan": write(tmp_path / "pan.tif", pan)}
    half = {"ms": files["ms"], "pan": write(tmp_path / "half.tif", pan[:, ::2, ::2])}
    holed = {"ms": write(tmp_path / "dark.tif", dark), "pan": files["pan"]}
    given = {
        "gt": write(tmp_path / "gt.tif", ms[:, :96, :96]),
        "pan": write(tmp_path / "gpan.tif", pan[:, :96, :96]),
        "ms": write(tmp_path / "gms.tif", ms[:, 2:96:4, 2:96:4]),
    }
    items = [
        item("four_1", "train", files),
        item("half_1", "train", half, ratio=2, sensor="Landsat-7 ETM+"),
        item("sole_1", "train", {"ms": files["ms"]}, ratio=None),
        item("ten_1", "train", {"ms": files["pan"], "ms10": files["ms"]}, band_names=[]),
        item("short_1", "train", files, band_names=["nir", "red", "green", "swir1"]),
        item("four_2", "val", holed),
        item("given_1", "test", given, use="evaluation only"),
    ]
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"items": items}))
    return path


def edit(manifest: Path, name: str, **changes: Any) -> None:
    content = json.loads(manifest.read_text())
    for entry in content["items"]:
        if entry["name"] == name:
            entry.update(changes)
    manifest.write_text(json.dumps(content))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
class TestPairs:
    def test_every_kind_of_item_becomes_a_pair_on_its_own_ms_grid(self, manifest: Path) -> None:
        pairs = load_pairs(manifest, "train", variant_gains=VARIANT_GAINS)
        assert [pair.name for pair in pairs] == ["four_1", "half_1", "sole_1", "ten_1"]
        for pair in pairs:
            # what has no PAN is halved, so that its simulated PAN can be sharper than its bands
            height, width = (48, 48) if pair.simulated_pan else (96, 100)
            assert pair.gt.shape == pair.lms.shape == pair.sharp.shape == (4, height, width)
            assert pair.pan.shape == (1, height, width)
            assert pair.ms.shape == (4, height // 4, width // 4)
            assert pair.lms_variants.shape == (3, 4, height, width)
            assert pair.valid.all()
            assert pair.dn_scale == 2047
        assert [pair.simulated_pan for pair in pairs] == [False, False, True, True]
        assert [pair.kind for pair in pairs] == ["four", "half", "sole", "ten"]

    def test_bands_come_in_the_wanted_order(self, manifest: Path) -> None:
        four, ten = load_pairs(manifest, "train", names=["four_1", "ten_1"])
        for band in range(4):
            halved = four.gt[band, :96, :96].reshape(48, 2, 48, 2).mean(axis=(1, 3))
            assert np.corrcoef(halved.ravel(), ten.sharp[3 - band].ravel())[0, 1] > 0.9
        assert load_pairs(manifest, "train", bands=("red",), names=["four_1"])[0].gt.shape == (1, 96, 100)

    def test_item_without_a_wanted_band_is_skipped_and_logged(
        self, manifest: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        load_pairs(manifest, "train")
        assert "short_1 skipped: it has no band blue" in caplog.text

    def test_ratio_two_pan_is_shrunk_onto_the_ms_grid(self, manifest: Path) -> None:
        (pair,) = load_pairs(manifest, "train", names=["half_1"])
        with rasterio.open(manifest.parent / "half.tif") as dataset:
            pan = dataset.read().astype(float)
        blocks = pan[0, :192, :200].reshape(96, 2, 100, 2).mean(axis=(1, 3))
        assert np.corrcoef(blocks.ravel(), pair.pan.ravel())[0, 1] > 0.9

    def test_simulated_pan_is_sharper_than_the_bands(self, manifest: Path) -> None:
        (pair,) = load_pairs(manifest, "train", names=["sole_1"])
        np.testing.assert_allclose(pair.pan[0], pair.sharp.mean(axis=0), rtol=1e-6)
        assert (pair.sharp.std(axis=(1, 2)) > 1.2 * pair.gt.std(axis=(1, 2))).all()
        np.testing.assert_allclose(pair.sharp.mean(axis=(1, 2)), pair.gt.mean(axis=(1, 2)), rtol=0.01)

    def test_nodata_and_its_surroundings_are_invalid(self, manifest: Path) -> None:
        (pair,) = load_pairs(manifest, "val")
        assert not pair.valid[:22].any()
        assert pair.valid[22:].all()

    def test_given_degraded_data_are_used_as_they_are(self, manifest: Path) -> None:
        (pair,) = load_pairs(manifest, "test")
        np.testing.assert_allclose(pair.lms[:, 2::4, 2::4], pair.ms, rtol=1e-6)

    def test_phases_differ_by_the_position_of_the_samples_only(self, manifest: Path) -> None:
        (centred,) = load_pairs(manifest, "train", names=["four_1"])
        (toolbox,) = load_pairs(manifest, "train", names=["four_1"], phase="toolbox")
        np.testing.assert_array_equal(centred.gt, toolbox.gt)
        np.testing.assert_array_equal(centred.pan, toolbox.pan)
        np.testing.assert_allclose(toolbox.lms[:, 2::4, 2::4], toolbox.ms, rtol=1e-5)
        assert not np.allclose(centred.ms, toolbox.ms, rtol=0.01)

    @pytest.mark.parametrize("use", ["evaluation only: never for weights that ship", "not for training"])
    def test_training_split_refuses_items_whose_use_forbids_it(self, manifest: Path, use: str) -> None:
        edit(manifest, "four_1", use=use)
        with pytest.raises(ConfigError, match="four_1 must not be trained on"):
            load_pairs(manifest, "train")

    def test_test_item_cannot_be_had_for_training(self, manifest: Path) -> None:
        with pytest.raises(ConfigError, match="given_1 is not in the train split"):
            load_pairs(manifest, "train", names=["given_1"])

    def test_damaged_manifest_is_explained(self, manifest: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="data manifest"):
            load_pairs(tmp_path / "absent.json", "train")
        edit(manifest, "half_1", ratio=None)
        with pytest.raises(ConfigError, match="half_1 does not state `ratio`"):
            load_pairs(manifest, "train")
        edit(manifest, "half_1", ratio=2)
        edit(manifest, "four_1", files={"ms": "absent.tif"})
        with pytest.raises(SceneError, match=r"absent\.tif cannot be read"):
            load_pairs(manifest, "train")
        manifest.write_text('{"items": [{"name": "x", "split": "train"}]}')
        with pytest.raises(ConfigError, match="x does not state `use`"):
            load_pairs(manifest, "train")


def synthetic_pair(
    name: str = "four_1", split: Any = "train", side: int = 100, simulated: bool = False
) -> Pair:
    random = np.random.default_rng(len(name))
    gt = random.uniform(100, 1800, (4, side, side)).astype(np.float32)
    return Pair(
        name=name,
        sensor="",
        kind=name.split("_")[0],
        split=split,
        bands=BGRN,
        pan=gt.mean(axis=0, keepdims=True),
        lms=gt + 1,
        ms=gt[:, 2::4, 2::4],
        gt=gt,
        sharp=gt,
        valid=np.ones((side, side), bool),
        dn_scale=2047.0,
        simulated_pan=simulated,
        lms_variants=np.stack([gt + 2, gt + 3]),
        ms_variants=np.stack([gt[:, 2::4, 2::4] + 2, gt[:, 2::4, 2::4] + 3]),
        phase="centred",
    )


class TestSampler:
    def test_batches_have_the_promised_shapes_and_units(self) -> None:
        pan, lms, gt, *_ = PatchSampler([synthetic_pair()], patch=32).sample(5)
        assert (pan.shape, lms.shape, gt.shape) == ((5, 1, 32, 32), (5, 4, 32, 32), (5, 4, 32, 32))
        assert {part.dtype for part in (pan, lms, gt)} == {np.dtype(np.float32)}
        assert 0.05 < gt.mean() < 1.5

    def test_without_augmentation_patches_are_cuts_of_the_scene(self) -> None:
        pair = synthetic_pair()
        pan, lms, gt, *_ = PatchSampler([pair], patch=32, augmentation=PLAIN).sample(4)
        windows = np.lib.stride_tricks.sliding_window_view(pair.gt[0], (32, 32))
        for index in range(4):
            found = np.argwhere(np.isclose(windows[..., 0, 0], gt[index, 0, 0, 0] * 2047, rtol=1e-5))
            assert any(np.allclose(windows[tuple(at)], gt[index, 0] * 2047, rtol=1e-5) for at in found)
        np.testing.assert_allclose((lms - gt) * 2047, 1, atol=1e-2)
        np.testing.assert_allclose(pan[:, 0], gt.mean(axis=1), rtol=1e-5)

    def test_gains_keep_the_bands_of_lms_and_ground_truth_together(self) -> None:
        augmentation = replace(PLAIN, band_log_gain=0.4, common_log_gain=0.7, flips=True)
        pan, lms, gt, *_ = PatchSampler([synthetic_pair()], patch=32, augmentation=augmentation).sample(8)
        offsets = (lms - gt) * 2047  # 1 DN times the gain of patch and band
        gains = offsets.mean(axis=(2, 3))
        np.testing.assert_allclose(offsets / gains[:, :, None, None], 1, rtol=0.02)
        assert np.all(np.abs(np.log(gains)) < 1.1 + 1e-3)
        assert gains.std() > 0.1
        restored = (gt / gains[:, :, None, None]).mean(axis=1)
        assert all(np.corrcoef(restored[i].ravel(), pan[i, 0].ravel())[0, 1] > 0.999 for i in range(8))

    def test_lms_of_each_band_comes_from_a_random_mtf_gain(self) -> None:
        augmentation = replace(PLAIN, vary_mtf=True)
        _, lms, gt, *_ = PatchSampler([synthetic_pair()], patch=32, augmentation=augmentation).sample(16)
        offsets = np.round((lms - gt).mean(axis=(2, 3)) * 2047).astype(int)
        assert set(offsets.ravel()) == {2, 3}
        assert any(len(set(row)) == 2 for row in offsets)

    def test_simulated_pan_is_a_positive_mix_of_the_bands(self) -> None:
        sampler = PatchSampler([synthetic_pair(simulated=True)], patch=32, augmentation=PLAIN)
        pan, _, gt, *_ = sampler.sample(6)
        for index in range(6):
            design = gt[index].reshape(4, -1).T
            mix, residual, *_ = np.linalg.lstsq(design, pan[index].ravel(), rcond=None)
            assert (mix > 0).all()
            assert 0.8 <= mix.sum() <= 1.2
            assert residual[0] < 1e-6

    def test_share_of_simulated_pan_is_kept(self) -> None:
        augmentation = replace(PLAIN, simulated_pan_share=0.25)
        pan, _, gt, *_ = PatchSampler([synthetic_pair()], patch=16, augmentation=augmentation).sample(400)
        real = np.isclose(pan[:, 0], gt.mean(axis=1), rtol=1e-4).all(axis=(1, 2))
        assert 0.65 < real.mean() < 0.85

    def test_kinds_are_drawn_by_weight(self) -> None:
        pairs = [synthetic_pair("a_1"), synthetic_pair("a_22"), synthetic_pair("b_333")]
        pairs[2] = replace(pairs[2], gt=pairs[2].gt + 5000)
        _, _, gt, *_ = PatchSampler(pairs, {"a": 3, "b": 1}, patch=8, augmentation=PLAIN).sample(600)
        assert 0.18 < (gt.mean(axis=(1, 2, 3)) > 1).mean() < 0.32

    def test_same_seed_gives_the_same_batches(self) -> None:
        samplers = [PatchSampler([synthetic_pair()], patch=32, seed=seed) for seed in (7, 7, 8)]
        first, second, other = (sampler.sample(6) for sampler in samplers)
        for left, right in zip(first, second, strict=True):
            np.testing.assert_array_equal(left, right)
        assert not np.array_equal(first[2], other[2])

    def test_resumed_sampler_continues_to_the_bit(self) -> None:
        sampler = PatchSampler([synthetic_pair()], patch=32, seed=1)
        sampler.sample(3)
        saved = json.loads(json.dumps(sampler.state()))
        expected = sampler.sample(5)
        resumed = PatchSampler([synthetic_pair()], patch=32, seed=99)
        resumed.set_state(saved)
        for left, right in zip(resumed.sample(5), expected, strict=True):
            np.testing.assert_array_equal(left, right)

    def test_patches_avoid_invalid_ground(self) -> None:
        pair = synthetic_pair()
        valid = pair.valid.copy()
        valid[:50] = False
        marked = replace(pair, valid=valid, gt=np.where(valid, pair.gt, np.float32(0)))
        _, _, gt, *_ = PatchSampler([marked], patch=32, augmentation=PLAIN).sample(50)
        assert ((gt > 0).mean(axis=(1, 2, 3)) >= 0.98).all()

    def test_pairs_of_other_splits_are_refused(self) -> None:
        for split in ("val", "test"):
            with pytest.raises(ConfigError, match=f"of the {split} split"):
                PatchSampler([synthetic_pair(split=split)])

    def test_scenes_without_room_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="larger scenes"):
            PatchSampler([synthetic_pair(side=40)], patch=64)


class TestSceneUnits:
    MIXED = replace(PLAIN, simulated_pan_share=0.5)

    def test_gains_of_bands_and_light_change_nothing(self) -> None:
        pair = smooth_pair()
        gains = np.array([0.5, 1.0, 2.0, 3.0], np.float32)[:, None, None]
        images = {name: gains * getattr(pair, name) for name in ("lms", "ms", "gt", "sharp")}
        brighter = replace(pair, pan=3 * pair.pan, **images)
        plain, scaled = (
            PatchSampler([one], patch=32, augmentation=PLAIN, units="scene").sample(4)
            for one in (pair, brighter)
        )
        for left, right in zip(plain[:3], scaled[:3], strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("phase", ["centred", "toolbox"])
    def test_bands_get_their_share_of_the_detail_that_ms_cannot_see(self, phase: Phase) -> None:
        pair = replace(smooth_pair(), phase=phase)
        sampler = PatchSampler([pair], patch=128, augmentation=PLAIN, units="scene")
        pan, lms, _, *_ = (part[0] for part in sampler.sample(1))
        units = pair_units(pair)
        np.testing.assert_allclose(pan, (pair.pan - units.pan_offset) / units.pan_scale, atol=1e-4)
        injected, offset, scale = (
            np.array(v)[:, None, None] for v in (units.injected, units.ms_offset, units.ms_scale)
        )
        detail = (pair.pan - seen_by_ms(pair.pan, 4, phase)) / units.pan_scale
        assert detail.std() > 0.1 and (injected > 0.5).all()
        np.testing.assert_allclose(lms, (pair.lms - offset) / scale + injected * detail, atol=1e-4)

    def test_a_pan_without_detail_changes_no_band(self) -> None:
        pair = smooth_pair()
        dull = replace(pair, pan=gaussian_filter(pair.pan, (0, 20, 20)))
        _, lms, gt = in_units(
            pair_units(dull), dull.pan, pair.lms, pair.lms, seen_by_ms(dull.pan, 4, "centred")
        )
        np.testing.assert_allclose(lms, gt, atol=0.06)

    def test_units_that_inject_refuse_to_do_without_the_pan_as_ms_sees_it(self) -> None:
        pair = smooth_pair()
        with pytest.raises(ValueError, match="need the PAN as MS sees it"):
            in_units(pair_units(pair), pair.pan, pair.lms, pair.gt)

    def test_a_sharper_ms_gets_a_larger_share(self) -> None:
        """Whichever of a pair's variants a patch is given: the share is measured on it."""
        pair = smooth_pair()
        sharper = replace(
            pair,
            lms_variants=np.stack([pair.lms, pair.lms]),
            ms_variants=np.stack([pair.ms, 2 * pair.ms]),
        )
        sampler = PatchSampler(
            [sharper], patch=128, augmentation=replace(PLAIN, vary_mtf=True), units="scene"
        )
        batch, shares = sampler.sample(24), []
        for pan, lms in zip(batch.pan, batch.lms, strict=True):
            detail = pan - seen_by_ms(pan, 4, "centred")
            units = pair_units(pair)
            plain = (pair.lms - np.array(units.ms_offset)[:, None, None]) / np.array(units.ms_scale)[
                :, None, None
            ]
            shares.append(
                [np.vdot(detail, band) / np.vdot(detail, detail) for band in (lms - plain)[:, None]]
            )
        shares = np.array(shares)
        np.testing.assert_allclose(shares.max(axis=0) / shares.min(axis=0), 2, rtol=1e-3)

    def test_a_mixed_pan_is_seen_as_the_mix_of_what_is_seen(self) -> None:
        """By linearity, so that nothing is filtered while training."""
        pair = replace(smooth_pair(), simulated_pan=True)
        augmentation = replace(self.MIXED, pan_noise=0)
        sampler = PatchSampler([pair], patch=128, augmentation=augmentation, units="scene")
        batch = sampler.sample(1)
        pan, lms = batch.pan[0], batch.lms[0]
        plain = (pair.lms / pair.dn_scale - batch.level[0, :, None, None]) / batch.contrast[0, :, None, None]
        detail = pan - seen_by_ms(pan, 4, "centred")
        shares = [np.vdot(detail[0], band) / np.vdot(detail, detail) for band in lms - plain]
        assert min(shares) > 0.3
        np.testing.assert_allclose(lms, plain + np.array(shares)[:, None, None] * detail, atol=2e-3)

    def test_units_follow_whatever_pan_was_mixed(self) -> None:
        pan, lms, gt, *_ = PatchSampler(
            [smooth_pair()], patch=128, augmentation=self.MIXED, units="scene"
        ).sample(16)
        np.testing.assert_allclose(pan.mean(axis=(1, 2, 3)), 0, atol=0.05)
        np.testing.assert_allclose(pan.std(axis=(1, 2, 3)), 1, atol=0.2)
        assert 0.5 < float(gt.std()) < 2
        assert np.isfinite(lms).all()

    def test_units_of_a_pair_are_undone_by_their_inverse(self) -> None:
        pair = smooth_pair()
        units = pair_units(pair)
        _, _, gt = in_units(units, pair.pan, pair.lms, pair.gt, seen_by_ms(pair.pan, 4, "centred"))
        scale, offset = (np.array(v)[:, None, None] for v in (units.ms_scale, units.ms_offset))
        np.testing.assert_allclose(gt * scale + offset, pair.gt, rtol=1e-4)

    @pytest.mark.parametrize("units", ["scene", "bit_depth"])
    def test_level_and_contrast_tell_what_a_value_stands_for(self, units: Units) -> None:
        pair = smooth_pair()
        sampler = PatchSampler([pair], patch=128, augmentation=PLAIN, units=units)
        batch = sampler.sample(1)
        level, contrast = (values[0, :, None, None] for values in (batch.level, batch.contrast))
        np.testing.assert_allclose(level + contrast * batch.truth[0], pair.gt / pair.dn_scale, rtol=1e-4)


def smooth_pair() -> Pair:
    """Bands that share structure of all sizes, an LMS without the fine part, a PAN that mixes the bands."""
    random = np.random.default_rng(5)
    common, own = random.standard_normal((1, 128, 128)), random.standard_normal((4, 128, 128))
    coarse = np.stack([gaussian_filter(band, 6) for band in own + common]) * 20
    fine = np.stack([gaussian_filter(band, 1) for band in 0.3 * own + common])
    lms = (500 + 100 * coarse).astype(np.float32)
    gt = (lms + 60 * fine).astype(np.float32)
    pair = synthetic_pair(side=128)
    return replace(pair, gt=gt, sharp=gt, lms=lms, pan=gt.mean(axis=0, keepdims=True), ms=gt[:, 2::4, 2::4])


def test_training_split_of_the_real_data_can_be_sampled(shared_data: Path) -> None:
    pairs = load_pairs(shared_data / "manifest.json", "train", names=["sn6_rotterdam_2", "l7_p034r032_01"])
    pan, lms, gt, *_ = PatchSampler(pairs, {"sn6": 1, "l7": 1}, seed=3).sample(32)
    assert np.isfinite(pan).all()
    assert np.abs(lms - gt).mean() < 0.2 * gt.mean()
    assert (gt > 0).mean() > 0.98


def test_evaluation_only_scene_of_the_real_data_is_refused_for_training(shared_data: Path) -> None:
    with pytest.raises(ConfigError, match="ikonos_1 is not in the train split"):
        load_pairs(shared_data / "manifest.json", "train", names=["ikonos_1"])
