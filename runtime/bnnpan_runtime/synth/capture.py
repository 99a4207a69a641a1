"""The camera: optics and detector blur, sampling on two grids, photon and read noise, digital numbers.

PAN is a weighted sum of the bands at full resolution through its own optics. The truth is what an MS camera
of the same optical quality would see on the PAN grid, free of noise. MS is the truth seen by detectors
`ratio` times as wide. All blurs are Gaussian with a given gain at the Nyquist frequency of the image they
belong to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnnpan_runtime.lowpass import blur, gaussian_taps, reach, sample
from bnnpan_runtime.synth.hashing import Float32, Layer, hash_points, key
from bnnpan_runtime.synth.light import radiance
from bnnpan_runtime.synth.noise import Lattice
from bnnpan_runtime.synth.spectra import Camera, camera

__all__ = ["MS_GAIN", "PAN_GAIN", "Scene", "Shot"]

Digital = NDArray[np.uint8] | NDArray[np.uint16]
"""DN as they are stored."""

PAN_GAIN = 0.15
MS_GAIN = 0.30

_PAN_ELECTRONS_PER_DN = 30.0
_MS_ELECTRONS_PER_DN = 45.0  # larger pixels
_READ_NOISE_DN = 1.2


@dataclass(frozen=True)
class Shot:
    """One window in DN: PAN `(h, w)`, MS `(bands, h / ratio, w / ratio)`, truth `(bands, h, w)`."""

    pan: Digital
    ms: Digital
    truth: Digital


@dataclass(frozen=True)
class Scene:
    """An endless synthetic landscape seen by a camera; a pixel depends on these fields and its place alone.

    bit_depth   11 (in uint16) or 8 (in uint8)
    """

    seed: int
    bands: int
    ratio: int
    bit_depth: int

    @property
    def camera(self) -> Camera:
        """Spectral side of the camera."""
        return camera(self.bands)

    def shoot(self, row: int, col: int, height: int, width: int) -> Shot:
        """Take the PAN pixels of one window; all four numbers are multiples of the ratio."""
        ms_taps = gaussian_taps(MS_GAIN, self.ratio)
        pan_taps, truth_taps = gaussian_taps(PAN_GAIN, 1), gaussian_taps(MS_GAIN, 1)
        ms_reach = reach(ms_taps, self.ratio)
        halo = ms_reach + reach(truth_taps, 1)
        view = self.camera
        sharp = radiance(
            Lattice(row - halo, col - halo, height + 2 * halo, width + 2 * halo), self.seed, view
        )

        pan = sharp[0] * view.pan_weights[0]
        for band, weight in zip(sharp[1:], view.pan_weights[1:], strict=True):
            pan += band * weight
        cut = halo - reach(pan_taps, 1)
        pan = blur(pan[cut : pan.shape[0] - cut, cut : pan.shape[1] - cut], pan_taps)
        truth = np.stack([blur(band, truth_taps) for band in sharp])
        del sharp
        ms = np.stack([sample(band, ms_taps, self.ratio) for band in truth])
        inner = truth[:, ms_reach : ms_reach + height, ms_reach : ms_reach + width]

        pan_lattice = Lattice(row, col, height, width)
        ms_lattice = Lattice(row // self.ratio, col // self.ratio, height // self.ratio, width // self.ratio)
        self._add_noise(pan, pan_lattice, key(self.seed, Layer.PAN_NOISE), _PAN_ELECTRONS_PER_DN)
        for band, plane in enumerate(ms):
            self._add_noise(plane, ms_lattice, key(self.seed, Layer.MS_NOISE) + band, _MS_ELECTRONS_PER_DN)
        return Shot(self._digitise(pan), self._digitise(ms), self._digitise(inner))

    def _add_noise(self, plane: Float32, lattice: Lattice, noise_key: int, electrons_per_dn: float) -> None:
        """Photon noise, whose variance grows with the signal, and constant read noise."""
        noise = _normal(hash_points(noise_key & 0xFFFFFFFF, lattice.rows(), lattice.cols()))
        noise *= np.sqrt(plane * np.float32(1 / electrons_per_dn) + np.float32(_READ_NOISE_DN**2))
        plane += noise

    def _digitise(self, plane: Float32) -> Digital:
        """11-bit DN to the scene's bit depth; never 0, which marks missing pixels in many products."""
        top = 2**self.bit_depth - 1
        dn = np.rint(plane * np.float32(top / 2047))
        np.clip(dn, 1, top, out=dn)
        digital: Digital = dn.astype(np.uint8 if self.bit_depth <= 8 else np.uint16)
        return digital


def _normal(hashed: NDArray[np.uint32]) -> Float32:
    """Nearly normal numbers, deviation 1: the sum of the hash's four bytes (tails end at 3.4 deviations)."""
    total = np.zeros(hashed.shape, np.uint32)
    for byte in range(4):
        total += (hashed >> np.uint32(8 * byte)) & np.uint32(255)
    result = total.astype(np.float32)
    result -= np.float32(510)
    result *= np.float32(1 / 147.8)
    return result
