"""``python -m models KIND [MODEL] --flags``: plan a run from flags, run it here, and say in words what happens."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Annotated, Any

from pydantic import Field, create_model

from models.errors import EXIT_DONE, EXIT_REFUSED
from models.jobs.execution import Execution, execute
from models.jobs.layout import plan_run, read_result
from models.jobs.ranks import RetoldRanks
from models.jobs.registry import OBJECTIVE_MODULES
from models.jobs.stopping import StopSignal
from models.settings.audit import AuditSettings
from models.settings.balance import BalanceSettings
from models.settings.collect import CollectSettings
from models.settings.command_line import parse_command
from models.settings.compare import CompareSettings
from models.settings.evaluate import EvaluateSettings
from models.settings.fields import INCIDENTAL, Settings
from models.settings.findings import FindingsSettings
from models.settings.flags import member_models
from models.settings.folds import FoldsSettings
from models.settings.fuse import FuseSettings
from models.settings.predict import PredictSettings
from models.settings.preprocess import PreprocessSettings
from models.settings.probe import ProbeSettings
from models.settings.rank import RankSettings
from models.settings.retrieval import (
    BoostSettings,
    CandidatesSettings,
    EmbedSettings,
    ExportSettings,
    JudgeSettings,
    MineSettings,
    PairsSettings,
    RetrieveSettings,
    ScoreSettings,
)
from models.settings.train import TrainSettings
from models.settings.weigh import WeighSettings

SETTINGS_CLASSES: dict[str, type[Settings]] = {
    "collect": CollectSettings,
    "preprocess": PreprocessSettings,
    "findings": FindingsSettings,
    "audit": AuditSettings,
    "folds": FoldsSettings,
    "train": TrainSettings,
    "probe": ProbeSettings,
    "predict": PredictSettings,
    "weigh": WeighSettings,
    "fuse": FuseSettings,
    "rank": RankSettings,
    "evaluate": EvaluateSettings,
    "compare": CompareSettings,
    "balance": BalanceSettings,
    "pairs": PairsSettings,
    "candidates": CandidatesSettings,
    "embed": EmbedSettings,
    "mine": MineSettings,
    "retrieve": RetrieveSettings,
    "score": ScoreSettings,
    "boost": BoostSettings,
    "judge": JudgeSettings,
    "export": ExportSettings,
}
TRAIN_ALIASES = {
    "epochs": "model.epochs",
    "batch-size": "model.batch_size",
    "auto-batch-size": "model.auto_batch_size",
    "lr": "model.learning_rate",
    "learning-rate": "model.learning_rate",
    "weight-decay": "model.weight_decay",
    "dropout": "model.dropout",
    "warmup-ratio": "model.warmup_ratio",
    "warmup-steps": "model.warmup_steps",
    "max-pairs": "model.max_pairs",
    "max-triples": "model.max_triples",
    "encoder": "model.encoder",
    "max-seq-len": "model.max_seq_len",
    "backbone": "model.backbone",
    "pretrained": "model.pretrained",
    "pooling": "model.pooling",
    "gradient-checkpointing": "model.gradient_checkpointing",
    "allow-network": "model.allow_network",
    "mixed-precision": "compute.precision=auto",
    "hidden-dim": "model.hidden_dim",
    "num-layers": "model.num_layers",
    "early-stopping-patience": "model.early_stopping_patience",
    "num-ranks": "compute.num_ranks",
    "num-threads": "compute.num_threads",
}
"""Flat flags; one with a value is a bare switch that sets it. Those of fields that a model kind lacks are left out."""
ENVIRONMENT = {"CODEWARDEN_RUNS": "runs"}


class RunOptions(Settings):
    """Where the run goes."""

    output_dir: Annotated[Path | None, INCIDENTAL] = None
    """Run directory; empty: a folder under the run root, named by what is run. A killed run goes on where it was."""
    runs: Annotated[Path, INCIDENTAL] = Path("runs")
    """Run root: finished work is found here, and openings of sealed data are logged here."""
    reuse_build: Annotated[bool, INCIDENTAL] = False
    """Go on with an unfinished run that other code began (recorded)."""
    dry_run: Annotated[bool, INCIDENTAL] = False
    """Print the settings and the run directory, and stop."""


class ReadableEvents:
    """A stream that takes events as JSON lines and writes them as words.

    Args:
        stream: Where the words go.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Take one event, or a line that a library printed."""
        self._stream.write(in_words(json.loads(text)) + "\n" if text.startswith('{"event"') else text)
        return len(text)

    def flush(self) -> None:
        """Pass it on."""
        self._stream.flush()


def in_words(event: dict[str, Any]) -> str:
    """One event as a line for people."""
    kind = event["event"]
    values = {name: value for name, value in event.items() if name not in ("event", "time")}
    if kind == "phase":
        return f"— {values['phase']}"
    if kind == "notice":
        return f"{values['level']}: {values['message']}"
    if kind == "progress":
        total = f" of {values['total']}" if values["total"] else ""
        return f"  {values['done']}{total} {values['unit']}"
    shown = (f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items())
    return f"  {kind}: " + ", ".join(shown)


def run_command(argv: Sequence[str]) -> int:
    """Run the job that ``argv`` describes; the exit code is the job's."""
    kind = argv[0] if argv else ""
    if kind not in SETTINGS_CLASSES:
        return _usage(kind)
    settings, options = _parse(kind, list(argv[1:]))
    plan = plan_run(settings, options.runs, reuse_build=options.reuse_build)
    run_path = options.output_dir or plan.run_path
    if options.dry_run:
        sys.stdout.write(f"{settings.model_dump_json(indent=1)}\nrun directory: {run_path}\n")
        return EXIT_DONE
    for other in plan.others:
        if other.finished:
            sys.stdout.write(f"finished before by another build in {other.path} ({'; '.join(other.differences)})\n")
    stop = StopSignal()
    stop.install()
    num_ranks = settings.compute.num_ranks if isinstance(settings, TrainSettings) else 1
    echo = ReadableEvents(sys.stdout)
    execution = Execution(settings, run_path, options.runs, echo, stop, options.reuse_build, num_ranks=num_ranks)
    with RetoldRanks(echo) as start_rank:
        code = execute(execution, start_rank)
    if code == EXIT_DONE:
        sys.stdout.write(json.dumps(read_result(run_path)["numbers"], indent=1) + f"\nrun directory: {run_path}\n")
    return code


def _parse(kind: str, arguments: list[str]) -> tuple[Settings, RunOptions]:
    prog = f"python -m models {kind}"
    aliases: dict[str, str] = {"run-dir": "output_dir"}
    if kind == "predict":
        aliases["num-threads"] = "compute.num_threads"
    settings_class = SETTINGS_CLASSES[kind]
    if kind == "train":
        aliases |= TRAIN_ALIASES
        if arguments and arguments[0] in OBJECTIVE_MODULES:
            prog += f" {arguments[0]}"
            settings_class, aliases = _of_one_kind(arguments[0], aliases)
            arguments = arguments[1:]
    settings, options = parse_command(
        settings_class, RunOptions, arguments, prog=prog, aliases=aliases, environment=ENVIRONMENT
    )
    return SETTINGS_CLASSES[kind].model_validate(settings.model_dump()), options


def _of_one_kind(model_kind: str, aliases: dict[str, str]) -> tuple[type[Settings], dict[str, str]]:
    """Training settings and aliases of one model kind, so that its help holds nothing of the others."""
    described = TrainSettings.model_fields["model"]
    (model_class,) = (
        member for member in member_models(described.annotation) if member.model_fields["kind"].default == model_kind
    )
    field = Field(default=model_class(), description=described.description)
    narrowed = create_model(
        "TrainSettings", __base__=TrainSettings, __doc__=TrainSettings.__doc__, model=(model_class, field)
    )
    known = {f"model.{name}" for name in model_class.model_fields}
    kept = {
        name: path for name, path in aliases.items() if not path.startswith("model.") or path.partition("=")[0] in known
    }
    return narrowed, kept


def _usage(kind: str) -> int:
    """What there is to run; an error only where something else was asked for."""
    kinds = "\n".join(f"  {name:12}{(cls.__doc__ or '').strip()}" for name, cls in SETTINGS_CLASSES.items())
    text = (
        "usage: python -m models KIND --flags            plan and run a job here\n"
        "       python -m models JOB.json --run-dir DIR  run a job from its settings file\n\n"
        f"kinds:\n{kinds}\n\n"
        f"train takes the model's kind first ({', '.join(OBJECTIVE_MODULES)}): python -m models train gnn --help\n"
    )
    if kind in ("", "-h", "--help"):
        sys.stdout.write(text)
        return EXIT_DONE
    sys.stderr.write(f"no kind of job is called {kind!r}\n{text}")
    return EXIT_REFUSED
