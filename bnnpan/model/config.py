"""What shapes the network: everything a checkpoint needs besides its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ModelConfig:
    """Architecture of one BNNPan network.

    The paper leaves several of these open; the defaults are this project's choice.

    bands            MS bands, in the order of the training data
    ratio            MS pixel size over PAN pixel size
    channels         feature channels C of the trunk
    blocks           number of PIBF modules, N_blk (4 in the paper)
    latent           width of the latent prior z and of the condition vector c
    outer_skip       add the block input once more around the BWTC (drawn in Fig. 4, absent from Eq. 7)
    prior_steps      reverse diffusion steps T
    prior_predicts   what the denoiser estimates: the noise (Eq. 14), or the clean latent as in DiffIR's code;
                     the first step from z_T multiplies a noise estimate by ten, which trains far worse
    pooled_encoder   "linear" pools right after the convolution, as drawn in Fig. 3, which makes the prior a
                     function of the band means alone; "rectified" puts a LeakyReLU before the pooling
    norm_lambda      initial divisor lambda of the normalised branch (Eq. 6); at 1 an untrained branch is as
                     loud as the residual it is added to
    """

    bands: int = 4
    ratio: int = 4
    channels: int = 32
    blocks: int = 4
    latent: int = 32
    outer_skip: bool = False
    prior_steps: int = 4
    prior_predicts: Literal["noise", "latent"] = "latent"
    pooled_encoder: Literal["linear", "rectified"] = "linear"
    norm_lambda: float = 4.0
