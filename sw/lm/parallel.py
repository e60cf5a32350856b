"""One process or many: what torchrun sets up, and nothing where it does not."""

import os
from dataclasses import dataclass

import torch
from torch import distributed, nn

__all__ = ["World", "start", "wrap"]


@dataclass(frozen=True)
class World:
    """Who this process is. ``device`` is its GPU where there is CUDA, else the CPU."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, batch: int) -> range:
        """The places of a batch that are this process's."""
        each = batch // self.size
        return range(self.rank * each, (self.rank + 1) * each)

    def mean(self, values: torch.Tensor) -> torch.Tensor:
        """Element-wise mean over the processes."""
        if self.size > 1:
            distributed.all_reduce(values)
            values = values / self.size
        return values

    def any(self, flag: bool) -> bool:
        """Whether any process says so: all go on, or none does."""
        if self.size == 1:
            return flag
        value = torch.tensor(float(flag), device=self.device)
        distributed.all_reduce(value, op=distributed.ReduceOp.MAX)
        return bool(value)

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            distributed.barrier()

    def stop(self) -> None:
        """Leave the group."""
        if self.size > 1:
            distributed.destroy_process_group()


def start() -> World:
    """Join the group of torchrun (nccl on GPUs, gloo on CPUs), or be alone."""
    cuda = torch.cuda.is_available()
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if size == 1:
        return World(0, 1, device)
    distributed.init_process_group("nccl" if cuda else "gloo")
    return World(distributed.get_rank(), size, device)


def wrap(model: nn.Module, world: World, unused: bool) -> nn.Module:
    """DistributedDataParallel where there are several processes; ``unused`` where a forward may
    leave parameters out (experts, directions)."""
    if world.size == 1:
        return model
    ids = [world.device.index] if world.device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(model, device_ids=ids,
                                               find_unused_parameters=unused)
