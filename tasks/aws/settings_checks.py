"""What can be judged before a launch without asking AWS: Spot and checkpoints, isolation, ranks, warm machines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from models.data.backbone_files import choose_backbone, weights_files
from models.errors import SettingsInvalid
from models.settings.fields import Settings
from models.settings.predict import PredictSettings
from models.settings.text_encoder import TextEncoder
from models.settings.train import TrainSettings
from tasks.aws.findings import Finding, Level
from tasks.aws.instances import check_ranks, gpus_of, machine_of
from tasks.aws.settings import SageMakerSettings

LOST_WITH_ISOLATION: Final = (
    "no compare-and-set on S3 fences off a second writer of the run",
    "the last writes before a reclaim may be unsynced, so more than one interval may be repeated",
    "what the job deletes is deleted in S3 too, so an older generation cannot be brought back",
    "a half-written file may be uploaded; it is found by its sha256 and the generation before it is taken",
    "openings of sealed data are logged in the run only, not beside the others in S3",
    "the run that is brought home is what SageMaker's sync last copied, whenever that was",
)
"""What a job without network and credentials cannot promise; docs/sagemaker.md tells the same."""
LARGEST_SHARE: Final = 0.1
"""Of the longest run that one reclaim may cost before it is worth a warning."""
LEAST_COMPUTE_CAPABILITY: Final = 7.5
"""Of the image's torch: CUDA 13 has left older GPUs (ml.p3) behind."""
COPIES_IN_CHECKPOINT: Final = 3
"""Weights and the two moments of the optimiser."""
UPLOAD_BYTES_PER_SECOND: Final = 50_000_000
"""Assumed for writing a checkpoint and sending it to S3; careful, so that a warning comes early."""


def check_settings(settings: SageMakerSettings, job: Settings) -> Iterator[Finding]:
    """What the settings of place and job say about each other; loads no learning library."""
    yield _ranks(settings, job)
    yield from _gpu(settings)
    yield from _budget(settings)
    if isinstance(job, TrainSettings):
        yield _spot(settings, job)
        yield _notice(settings, job)
    if settings.network_isolation:
        yield from (Finding("network isolation", Level.WARNING, f"lost: {lost}") for lost in LOST_WITH_ISOLATION)
    if settings.keep_alive_seconds:
        told = f"idle machines are paid for up to {settings.keep_alive_seconds} s after each job"
        yield Finding("warm pool", Level.WARNING, told)


def check_quota(settings: SageMakerSettings) -> Finding:
    """The quotas that a launch counts against, by their names; the launch alone shows whether they suffice."""
    of_spot = f"{settings.instance_type} for spot training job usage"
    on_demand = f"{settings.instance_type} for training job usage"
    may_be_on_demand = settings.on_demand_after_failures or settings.on_demand_after_seconds
    names = [of_spot, *([on_demand] if may_be_on_demand else [])] if settings.use_spot else [on_demand]
    quotas = " and ".join(f'"{name}"' for name in names)
    told = (
        f"shown by the launch alone; in Service Quotas, Amazon SageMaker, {quotas} must be {settings.num_instances} or "
        "more for each job that runs at the same time"
    )
    return Finding("quota", Level.UNCHECKED, told)


def checkpoint_bytes_of(job: TrainSettings) -> int | None:
    """About how large a checkpoint will be [bytes], from the weights on this disk; ``None`` where there are none."""
    if not isinstance(job.model, TextEncoder):
        return None
    try:
        files = choose_backbone(job.model).files
        parts = weights_files(files.folder).parts if files is not None else ()
    except SettingsInvalid:  # not fetched yet, or not to be had: planning says so
        return None
    if files is None:
        return None
    return COPIES_IN_CHECKPOINT * sum((files.folder / part).stat().st_size for part in parts)


def _spot(settings: SageMakerSettings, job: TrainSettings) -> Finding:
    every_seconds, check = job.checkpoints.every_seconds, "checkpoints"
    if job.checkpoints.every_steps is not None:
        return Finding(check, Level.OK, f"every {job.checkpoints.every_steps} steps or {every_seconds:g} s")
    if every_seconds >= settings.max_run_seconds:
        told = (
            f"one in {every_seconds:g} s, and a job ends after max_run_seconds {settings.max_run_seconds}: it could do "
            "all its work again and again; set checkpoints.every_seconds to some minutes"
        )
        return Finding(check, Level.REFUSED if settings.use_spot else Level.WARNING, told)
    if settings.use_spot and every_seconds > LARGEST_SHARE * settings.max_run_seconds:
        told = f"a reclaim may cost {every_seconds:g} s of paid work; lower checkpoints.every_seconds"
        return Finding(check, Level.WARNING, told)
    return Finding(check, Level.OK, f"one in {every_seconds:g} s at least")


def _notice(settings: SageMakerSettings, job: TrainSettings) -> Finding:
    every_seconds, notice_seconds, check = job.checkpoints.every_seconds, settings.notice_seconds, "notice"
    num_bytes = checkpoint_bytes_of(job)
    if num_bytes is None:
        told = f"the size of a checkpoint is not known here; it must be saved and sent in {notice_seconds:g} s"
        return Finding(check, Level.UNCHECKED, told)
    save_seconds = num_bytes / UPLOAD_BYTES_PER_SECOND
    about = f"a checkpoint of about {num_bytes / 1e9:.1f} GB takes some {save_seconds:.0f} s to save and send"
    if save_seconds > notice_seconds:
        told = (
            f"{about}, and a reclaim leaves {notice_seconds:g} s: the last one will often be lost, and up to "
            f"{every_seconds:g} s of work with it"
        )
        return Finding(check, Level.WARNING, told)
    if save_seconds > every_seconds:
        told = f"{about}, longer than checkpoints.every_seconds {every_seconds:g}: raise it, or sending falls behind"
        return Finding(check, Level.WARNING, told)
    return Finding(check, Level.OK, f"{about}; a reclaim leaves {notice_seconds:g} s")


def _budget(settings: SageMakerSettings) -> Iterator[Finding]:
    if settings.budget.total_usd is None:
        told = (
            f"nothing caps what is spent: a job that runs out of max_run_seconds {settings.max_run_seconds} is "
            "launched again for as long as it gets further; set sagemaker.budget.total_usd"
        )
        yield Finding("budget", Level.WARNING, told)


def _ranks(settings: SageMakerSettings, job: Settings) -> Finding:
    num_ranks, check = job.compute.num_ranks if isinstance(job, TrainSettings | PredictSettings) else 1, "ranks"
    try:
        check_ranks(settings.instance_type, settings.num_instances, num_ranks)
        num_gpus = gpus_of(settings.instance_type) * settings.num_instances
    except SettingsInvalid as error:
        return Finding(check, Level.REFUSED, str(error))
    if num_ranks < num_gpus:
        told = f"{num_gpus} GPUs are paid for and {num_ranks} used; raise compute.num_ranks, or take a smaller instance"
        return Finding(check, Level.WARNING, told)
    return Finding(check, Level.OK, f"{num_ranks} on {settings.num_instances} × {settings.instance_type}")


def _gpu(settings: SageMakerSettings) -> Iterator[Finding]:
    try:
        capability = machine_of(settings.instance_type).compute_capability
    except SettingsInvalid:  # told by the check of ranks
        return
    if capability is not None and settings.custom_image is None and capability < LEAST_COMPUTE_CAPABILITY:
        told = (
            f"{settings.instance_type} has compute capability {capability:g}, and the CUDA 13 of the image runs from "
            f"{LEAST_COMPUTE_CAPABILITY:g} on; take a newer one (ml.g4dn, ml.g5 …), or an image of your own"
        )
        yield Finding("gpu", Level.REFUSED, told)
