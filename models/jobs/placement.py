"""What a job is told of the place it runs in, beside its settings: where its run is mirrored, and the plan's machine.

Written by whoever launches a job somewhere else (``placement.json`` beside ``job.json``), read once by the job's
process. Nothing here is part of the question; ``run_key``, ``machine`` and ``build`` are what the run was named by, and
a job that finds others refuses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeFloat, ValidationError

from models.errors import SettingsInvalid
from models.settings.fields import Settings


class Machine(Settings):
    """The facts of a machine that a run is named by."""

    device: Literal["cpu", "cuda"]
    """Device."""
    device_class: str
    """What the build key says of it, such as ``cuda Tesla T4 7.5`` or ``cpu ml.c5``."""
    compute_capability: float | None = None
    """Of the GPU; bf16 from 8.0."""
    memory_gib: int | None = None
    """Memory of the device [GiB]; needed for automatic batch sizes only."""


class Placement(Settings):
    """Where a job's run is kept beside its run directory, and what it was planned for."""

    run_uri: str | None = None
    """Mirror of the run directory (s3://bucket/prefix/…); empty: the run directory is all there is."""
    openings_uri: str | None = None
    """Prefix whose openings.jsonl logs openings of sealed data; empty: the run root."""
    region: str | None = None
    """AWS region of both; empty: that of the standard chain."""
    machine: Machine | None = None
    """The machine that the run was planned for; empty: this one."""
    run_key: str | None = None
    """The question that the run was named by; a job whose inputs give another refuses before it trains. Empty: not
    compared."""
    build: dict[str, Any] | None = None
    """The planned build.json; a job whose own differs refuses, naming what differs. Empty: not compared."""
    git: dict[str, Any] | None = None
    """Commit of the code that was bundled, for the record."""
    notice_seconds: NonNegativeFloat = 20.0
    """Time between being told to leave and being killed [s]: uploads must end within it."""
    failure_path: str | None = None
    """File that is told how the job ended, where the platform reads one (/opt/ml/output/failure)."""


def read_placement(path: Path | None) -> Placement:
    """What a job is told of its place; ``None`` says nothing of it: the run directory is all there is.

    Raises:
        SettingsInvalid: the file cannot be read, or says something unknown. Not retried.
    """
    if path is None:
        return Placement()
    try:
        return Placement.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SettingsInvalid(f"placement file {path} cannot be read: {error.strerror}; give the path of one") from None
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()[:5])
        raise SettingsInvalid(f"placement file {path}: {problems}") from None
