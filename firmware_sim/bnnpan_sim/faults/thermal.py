"""A processor that gets hot: less and less of its time, then more again, while the run goes on."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

_PERIOD_SECONDS = 0.02
_PERIODS = 10
"""Of each step: 0.2 s."""

_SHARES = (0.8, 0.6, 0.4, 0.2, 0.1)


def steps(chance: random.Random) -> list[float]:
    """Shares of the processor's time, downwards to some step and back."""
    down = list(_SHARES[: chance.randint(2, len(_SHARES))])
    return [*down, *reversed(down[:-1])]


def throttle(pid: int, shares: Sequence[float]) -> str:
    """Stop and continue a process so that it runs for these shares of the time, one after another.

    It is not told, as by a governor; a process that has ended is left alone. Returns at once.
    """
    process = os.pidfd_open(pid)
    threading.Thread(target=_pace, args=(process, tuple(shares)), daemon=True).start()
    return "throttled to " + ", ".join(f"{share:.0%}" for share in shares)


def _pace(process: int, shares: Sequence[float]) -> None:
    """Stop and continue the process in turn, until the last share is over or the process has ended."""
    try:
        with suppress(ProcessLookupError):
            for share in shares:
                for _ in range(_PERIODS):
                    signal.pidfd_send_signal(process, signal.SIGSTOP)
                    time.sleep(_PERIOD_SECONDS * (1 - share))
                    signal.pidfd_send_signal(process, signal.SIGCONT)
                    time.sleep(_PERIOD_SECONDS * share)
    finally:
        os.close(process)
