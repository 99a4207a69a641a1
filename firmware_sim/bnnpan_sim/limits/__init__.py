"""What a board does not have is taken away here: memory, cores, processor time, storage throughput, room."""

from .enforce import Fence, Limiter, Outcome, Sample, choose_limiter, limiters, run_limited
from .throttle import Throttle

__all__ = [
    "Fence",
    "Limiter",
    "Outcome",
    "Sample",
    "Throttle",
    "choose_limiter",
    "limiters",
    "run_limited",
]
