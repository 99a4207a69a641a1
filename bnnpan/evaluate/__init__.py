"""How good fused images are: networks as they fly and classical methods, on the same scenes.

`scenes` opens what is fused, `methods` fuse it, `evaluation` is the loop, `scores` sums up, `table`, `page`
and `paper` show it. `validation` is what training watches of all that.
"""

from bnnpan.evaluate.network import fuse_pair
from bnnpan.evaluate.validation import evaluate, relative_ergas

__all__ = ["evaluate", "fuse_pair", "relative_ergas"]
