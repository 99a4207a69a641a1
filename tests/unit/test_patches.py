"""Patches of pairs: what is sampled, how often, and how it is varied."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from training_pairs import PLAIN, synthetic_pair

from bnnpan.data.pairs import load_pairs
from bnnpan.data.patches import PatchSampler
from bnnpan_runtime.errors import ConfigError


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


def test_training_split_of_the_real_data_can_be_sampled(shared_data: Path) -> None:
    pairs = load_pairs(shared_data / "manifest.json", "train", names=["sn6_rotterdam_2", "l7_p034r032_01"])
    pan, lms, gt, *_ = PatchSampler(pairs, {"sn6": 1, "l7": 1}, seed=3).sample(32)
    assert np.isfinite(pan).all()
    assert np.abs(lms - gt).mean() < 0.2 * gt.mean()
    assert (gt > 0).mean() > 0.98
