"""Patches in the units a network is fed: scene units make all sensors look alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from training_pairs import PLAIN, smooth_pair

from bnnpan.data.appearance import in_units, pair_units
from bnnpan.data.patches import PatchSampler
from bnnpan.data.wald import seen_by_ms
from bnnpan_runtime.contract import Phase, Units


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
