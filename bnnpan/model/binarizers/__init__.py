"""Ways of making a 3x3 convolution binary, all in the same backbone: `make_unit` gives the one by its name.

Each unit is one 3x3 convolution with its residual (`SubBandUnit`); depth, width, wavelet, prior and
calibration stay those of the network, so that methods differ in what their papers differ in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bnnpan.model.binarizers.bireal import E2FIF, BiRealNet, ReActNet
from bnnpan.model.binarizers.early import BNN, XNORNet
from bnnpan.model.binarizers.fabnet import FABNet
from bnnpan.model.binarizers.irnet import IRNet
from bnnpan.model.binarizers.restoration import BBCU, BTM, BiSRNet
from bnnpan.model.binarizers.s2b import S2BConv
from bnnpan.model.config import Binarizer
from bnnpan.model.nbc import FullPrecisionNBC, SubBandNBC
from bnnpan.model.unit import SubBandUnit

__all__ = ["make_unit"]

_OURS: Mapping[Binarizer, type[SubBandNBC]] = {"bnnpan": SubBandNBC, "full": FullPrecisionNBC}

_OTHERS: Mapping[Binarizer, Callable[[int, int], SubBandUnit]] = {
    "bnn": BNN,
    "xnor": XNORNet,
    "bireal": BiRealNet,
    "irnet": IRNet,
    "reactnet": ReActNet,
    "btm": BTM,
    "bbcu": BBCU,
    "e2fif": E2FIF,
    "bisrnet": BiSRNet,
    "fabnet": FABNet,
    "s2b": S2BConv,
}


def make_unit(
    binarizer: Binarizer,
    sub_bands: int,
    channels: int,
    *,
    norm_lambda: float,
    norm: bool = True,
    final_window: float = 1.0,
) -> SubBandUnit:
    """A fresh unit; the keywords shape `bnnpan` and its twin `full`, the others have none of them."""
    if binarizer in _OURS:
        return _OURS[binarizer](channels, norm_lambda, sub_bands, norm, final_window)
    return _OTHERS[binarizer](sub_bands, channels)
