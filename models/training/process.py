"""What this process trains on: device, precision and its fellow ranks, by Accelerate."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from accelerate import Accelerator
from torch import distributed

from models.errors import SettingsInvalid
from models.jobs.contract import JobContext
from models.jobs.hardware import resolve_precision, this_machine
from models.settings.train import ComputeSettings

RANK_TIMEOUT = timedelta(minutes=10)


def open_process(compute: ComputeSettings, context: JobContext) -> Accelerator:
    """Set threads and deterministic kernels, meet the other ranks, and give the accelerator.

    Raises:
        SettingsInvalid: a GPU is asked for and there is none. Not retried.
    """
    machine = this_machine(compute.device)
    device = machine.device
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingsInvalid("compute.device is cuda, but torch sees no GPU here; use --compute.device cpu")
    if device == "cuda":
        # cuBLAS is deterministic only with a workspace of a fixed size, read when its first handle is made; without it
        # the "error" below would end training at the first matrix product. Not tested: CI has no GPU.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, without importing the compiler
    # By default that also fills each new tensor with NaN: a tenth of a step. Kernels that read before they write would
    # show in the kill certificate.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    precision = resolve_precision(compute.precision, machine)
    _meet_ranks(context, device)
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no" if precision == "off" else precision)
    torch.set_num_threads(compute.num_threads)  # after Accelerate, which sets its own for several ranks
    return accelerator


def _meet_ranks(context: JobContext, device: str) -> None:
    """Join the process group: through a file on one machine, which needs no free port, by the network on several."""
    if context.num_ranks == 1 or distributed.is_initialized():
        return
    if context.rendezvous is None:
        raise SettingsInvalid("several ranks need a rendezvous file; start them by --num-ranks, not by hand")
    hosts = context.hosts
    own_ranks = hosts.own_ranks(context.num_ranks) if hosts is not None else range(context.num_ranks)
    os.environ.update(
        {
            "RANK": str(context.rank),
            "LOCAL_RANK": str(context.rank - own_ranks.start),
            "WORLD_SIZE": str(context.num_ranks),
            "LOCAL_WORLD_SIZE": str(len(own_ranks)),
            "MASTER_ADDR": hosts.names[0] if hosts is not None else "127.0.0.1",  # Accelerate wants them set
            "MASTER_PORT": str(hosts.port) if hosts is not None else "0",
        }
    )
    if hosts is None:
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # ranks of one machine; host names may not resolve
    elif hosts.interface is not None:
        os.environ.update({"GLOO_SOCKET_IFNAME": hosts.interface, "NCCL_SOCKET_IFNAME": hosts.interface})
    distributed.init_process_group(
        "gloo" if device == "cpu" else "nccl",
        init_method=hosts.meeting_url if hosts is not None else f"file://{context.rendezvous}",
        rank=context.rank,
        world_size=context.num_ranks,
        timeout=RANK_TIMEOUT,
    )
