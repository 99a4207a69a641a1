"""How good fused images are: networks as they fly and classical methods, on the same scenes.

`scenes` opens what is fused, `methods` fuse it, `scores` sums up, `table`, `page` and `paper` show it.
"""

from bnnpan.evaluate.network import fuse_pair
from bnnpan.evaluate.scores import evaluate, relative_ergas

__all__ = ["evaluate", "fuse_pair", "relative_ergas"]
