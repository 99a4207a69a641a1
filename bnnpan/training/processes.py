"""One process or several: who computes which patches, where, and what they must agree on.

Started by `torchrun`, every process draws the same batch from the same seeded stream and takes its share, so
a step sees the same patches however many processes there are. DistributedDataParallel averages gradients.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from bnnpan.config import Experiment
from bnnpan.data.batch import Arrays, Batch
from bnnpan_runtime.errors import ConfigError

Loss = Callable[[Batch[torch.Tensor]], torch.Tensor]


@dataclass(frozen=True)
class Processes:
    """This process among `count` equals; the first one alone writes and validates."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def check(self, experiment: Experiment, model: nn.Module) -> None:
        """Raise ConfigError if several processes would not compute what one does."""
        if self.count == 1:
            return
        training = experiment.training
        for stage in (training.stage_one, training.stage_two, training.stage_three):
            if stage.batch % self.count:
                raise ConfigError(
                    f"{self.count} processes cannot share a batch of {stage.batch} evenly; change either"
                )
        if any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()):
            raise ConfigError(
                f"model.binarizer = {experiment.model.binarizer!r} normalises over the batch;"
                " it trains in one process only"
            )

    def share(self, batch: Arrays) -> Batch[torch.Tensor]:
        """The part of a batch this process computes, on its device."""
        return Batch(*(self._part(torch.from_numpy(array)).to(self.device) for array in batch))

    def noise_like(self, local: torch.Tensor) -> torch.Tensor:
        """This process's rows of normal noise drawn for all of them, the same on every kind of device."""
        noise = torch.randn(len(local) * self.count, *local.shape[1:])
        return self._part(noise).to(self.device)

    def parallel(self, loss: Loss, model: nn.Module) -> Loss:
        """`loss` such that its gradients, of those parameters of `model` that learn, are averaged.

        Running statistics are means over all processes already, whoever's are broadcast. Ablations leave
        parameters unused, which a static graph finds out by itself.
        """
        if self.count == 1:
            return loss
        return DistributedDataParallel(_LossModule(model, loss), static_graph=True)

    def _part(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.chunk(self.count)[self.rank]


class _LossModule(nn.Module):
    """A loss as a module, which DistributedDataParallel wants."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: Batch[torch.Tensor]) -> torch.Tensor:
        """Loss of a batch."""
        return self.loss(batch)


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """This process alone, or among those that `torchrun` started, joined while the context lasts.

    `device` is "cpu", "cuda", or "auto" for CUDA where there is one. Raises ConfigError without the device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError('training.device is "cuda", but PyTorch finds none; use "auto" or "cpu"')
    kind = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    if not _started_by_torchrun():
        yield Processes(torch.device(kind))
        return
    own = torch.device(kind, int(os.environ["LOCAL_RANK"])) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(own)
    dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    try:
        yield Processes(own, dist.get_rank(), dist.get_world_size())
    finally:
        # What DistributedDataParallel leaves behind must go first: being the last to hold the group, it would
        # wait for the group's threads while these wait for Python's lock.
        gc.collect()
        dist.destroy_process_group()


def is_first_process() -> bool:
    """Whether this process is alone, or the first of those that `torchrun` started."""
    return not _started_by_torchrun() or os.environ["RANK"] == "0"


def _started_by_torchrun() -> bool:
    return dist.is_available() and dist.is_torchelastic_launched()
