"""What processes that train together must compute in common, besides gradients."""

from __future__ import annotations

import torch
import torch.distributed as dist


def mean_over_processes(local: torch.Tensor) -> torch.Tensor:
    """Mean over all processes of a statistic of each one's share of a batch; no gradient passes.

    With equal shares it is the statistic of the whole batch, for whatever is a mean over patches. A process
    alone gets `local` itself.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return local
    total = local.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
