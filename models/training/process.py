"""What this process trains on: device, precision and its fellow ranks, by Accelerate."""

from __future__ import annotations

import os
from datetime import timedelta

import torch
from accelerate import Accelerator
from torch import distributed

from models.errors import SettingsInvalid
from models.jobs.contract import JobContext
from models.jobs.hardware import resolve_device, resolve_precision
from models.settings.train import ComputeSettings

RANK_TIMEOUT = timedelta(minutes=10)


def open_process(compute: ComputeSettings, context: JobContext) -> Accelerator:
    """Set threads and deterministic kernels, meet the other ranks, and give the accelerator.

    Raises:
        SettingsInvalid: a GPU is asked for and there is none. Not retried.
    """
    device = resolve_device(compute.device)
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
    precision = resolve_precision(compute.precision, device)
    _meet_ranks(context, device)
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no" if precision == "off" else precision)
    torch.set_num_threads(compute.num_threads)  # after Accelerate, which sets its own for several ranks
    return accelerator


def _meet_ranks(context: JobContext, device: str) -> None:
    """Join the process group through a file, which needs no free port."""
    if context.num_ranks == 1 or distributed.is_initialized():
        return
    if context.rendezvous is None:
        raise SettingsInvalid("several ranks need a rendezvous file; start them by --num-ranks, not by hand")
    os.environ.update(
        {
            "RANK": str(context.rank),
            "LOCAL_RANK": str(context.rank),
            "WORLD_SIZE": str(context.num_ranks),
            "LOCAL_WORLD_SIZE": str(context.num_ranks),
            "MASTER_ADDR": "127.0.0.1",  # Accelerate wants it set; the ranks meet through the file
            "MASTER_PORT": "0",
            "GLOO_SOCKET_IFNAME": "lo",  # ranks of one machine; host names may not resolve
        }
    )
    distributed.init_process_group(
        "gloo" if device == "cpu" else "nccl",
        init_method=f"file://{context.rendezvous}",
        rank=context.rank,
        world_size=context.num_ranks,
        timeout=RANK_TIMEOUT,
    )
