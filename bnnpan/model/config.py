"""What shapes the network: everything a checkpoint needs besides its tensors."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from bnnpan_runtime.contract import Units
from bnnpan_runtime.errors import ConfigError

Architecture = Literal["bnnpan", "pnn", "fusionnet"]
"""Which network: ours, or small full-precision ones of others to compare with (`bnnpan.model.plain`)."""

Binarizer = Literal[
    "bnnpan",
    "full",
    "bnn",
    "xnor",
    "bireal",
    "irnet",
    "reactnet",
    "btm",
    "bbcu",
    "e2fif",
    "bisrnet",
    "fabnet",
    "s2b",
]
"""How the trunk's convolutions are made binary: ours, its full-precision twin, others to compare with."""

_OF_EVERY_NETWORK = ("architecture", "bands", "ratio", "units")


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of one network.

    BNNPan's paper leaves several of these open; the defaults are this project's choice.

    architecture     "bnnpan"; the others take `bands`, `ratio` and `units` alone, their size is their paper's
    bands            MS bands, in the order of the training data
    ratio            MS pixel size over PAN pixel size
    channels         feature channels C of the trunk
    blocks           number of PIBF modules, N_blk (4 in the paper)
    units            what the network is fed: DN over the bit depth, or scene units, in which every band has
                     mean 0, deviation 1 and its share of the PAN's detail (`bnnpan_runtime.scene_units`)
    latent           width of the latent prior z and of the condition vector c
    outer_skip       add the block input once more around the BWTC (drawn in Fig. 4, absent from Eq. 7)
    prior_steps      reverse diffusion steps T
    prior_predicts   what the denoiser estimates: the noise (Eq. 14), or the clean latent as in DiffIR's code;
                     the first step from z_T multiplies a noise estimate by ten, which trains far worse
    pooled_encoder   "linear" pools right after the convolution, as drawn in Fig. 3, which makes the prior a
                     function of the band means alone; "rectified" puts a LeakyReLU before the pooling
    norm_lambda      initial divisor lambda of the normalised branch (Eq. 6); at 1 an untrained branch is as
                     loud as the residual it is added to
    binarizer        how the trunk's convolutions are made binary; all but "bnnpan" are there to compare with
    final_window     what is left of the window of the sign's gradient at the end of training; 1 keeps it
    wavelet          off: one unit at full size in place of four on the Haar sub-bands
    norm             off: no normalised branch; RPReLU's output is added to the input as it is
    ldpc             off: the prior changes nothing, Y~ = Y
    cdc              off: no calibration weight, W_c = 1; without LDPC as well, a block's output is Y

    Only `bnnpan` with everything on can be exported; the rest is for comparison.
    Raises ConfigError for combinations without meaning.
    """

    architecture: Architecture = "bnnpan"
    bands: int = 4
    ratio: int = 4
    channels: int = 32
    blocks: int = 4
    units: Units = "bit_depth"
    latent: int = 32
    outer_skip: bool = False
    prior_steps: int = 4
    prior_predicts: Literal["noise", "latent"] = "latent"
    pooled_encoder: Literal["linear", "rectified"] = "linear"
    norm_lambda: float = 4.0
    binarizer: Binarizer = "bnnpan"
    final_window: float = 1.0
    wavelet: bool = True
    norm: bool = True
    ldpc: bool = True
    cdc: bool = True

    def __post_init__(self) -> None:
        if self.architecture != "bnnpan":
            self._check_defaults()
        if not self.norm and self.binarizer not in ("bnnpan", "full"):
            raise ConfigError(f"norm is off, but {self.binarizer!r} has no such branch; leave norm on")
        if self.final_window != 1 and self.binarizer != "bnnpan":
            raise ConfigError(f"final_window is for 'bnnpan', not {self.binarizer!r}; leave it at 1")
        if not self.wavelet and self.binarizer == "fabnet":
            raise ConfigError("wavelet is off, but 'fabnet' splits wavelet sub-bands; leave wavelet on")

    def _check_defaults(self) -> None:
        changed = [f.name for f in fields(self) if getattr(self, f.name) != f.default]
        strange = [name for name in changed if name not in _OF_EVERY_NETWORK]
        if strange:
            raise ConfigError(f"{self.architecture!r} has no setting {', '.join(strange)}; leave it out")

    @property
    def grounded_by(self) -> tuple[str, ...]:
        """Settings that no exported form and no runtime knows, as `key = value`; a network without flies."""
        parts_on = {"wavelet": True, "norm": True, "ldpc": True, "cdc": True}
        flying = {"architecture": "bnnpan", "binarizer": "bnnpan", **parts_on}
        found = {key: getattr(self, key) for key in flying}
        return tuple(f"{key} = {value}" for key, value in found.items() if value != flying[key])
