"""What people call a run, by the settings of its job; without date and key, by which it is found."""

from __future__ import annotations

from functools import singledispatch
from pathlib import Path

from models.settings.audit import AuditSettings
from models.settings.balance import BalanceSettings
from models.settings.collect import CollectSettings
from models.settings.fields import Settings
from models.settings.findings import FindingsSettings
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
from models.settings.text_encoder import TextEncoder
from models.settings.tokenizing import Tokenizing
from models.settings.train import ModelSettings, TrainSettings
from models.settings.weigh import WeighSettings


@singledispatch
def label_of(settings: Settings) -> str:  # noqa: ARG001
    """The label of a run of these settings."""
    return "metrics"


@label_of.register
def _(settings: TrainSettings) -> str:
    model = settings.model
    fold = "" if settings.left_out_fold is None else f"_without_fold{settings.left_out_fold}"
    return (
        f"{_model_label(model)}_lr{_short(model.learning_rate)}_bs{model.batch_size}_ep{model.epochs}"
        f"_wd{model.weight_decay:g}_s{settings.seed}{fold}{_without_project(settings.train_data)}"
        f"{'' if settings.weights is None else '_weighted'}"
    )


@label_of.register
def _(settings: PreprocessSettings | FindingsSettings) -> str:
    return f"{settings.source}_{_tokenizer_label(settings)}"


@label_of.register
def _(settings: PairsSettings | CandidatesSettings) -> str:
    return _tokenizer_label(settings)


@label_of.register
def _(settings: PredictSettings) -> str:
    return "test" if settings.open_test else settings.splits[-1] if settings.splits else "none"


@label_of.register
def _(settings: RankSettings) -> str:
    return settings.stage


@label_of.register
def _(settings: CollectSettings) -> str:
    return "_".join((settings.clean_name, *settings.sources))


@label_of.register
def _(settings: FoldsSettings) -> str:
    return f"{settings.num_folds}_by_{settings.by}_s{settings.seed}"


@label_of.register
def _(settings: WeighSettings) -> str:
    return settings.treatment


@label_of.register
def _(settings: FuseSettings) -> str:
    return f"{settings.method}_{'_'.join(settings.out_of_fold)}"


@label_of.register
def _(settings: ProbeSettings) -> str:
    return settings.what.kind


@label_of.register
def _(settings: AuditSettings) -> str:  # noqa: ARG001
    return "audit"


@label_of.register
def _(settings: BalanceSettings) -> str:
    return f"{settings.repos_root.name.partition('.')[0]}_s{settings.seed}"


@label_of.register
def _(settings: EmbedSettings) -> str:
    return "test" if settings.open_test else "texts"


@label_of.register
def _(settings: MineSettings) -> str:
    return f"{settings.num_negatives}_negatives"


@label_of.register
def _(settings: RetrieveSettings) -> str:
    return settings.split


@label_of.register
def _(settings: ScoreSettings) -> str:
    return _lists_label(settings.lists)


@label_of.register
def _(settings: BoostSettings) -> str:
    return _lists_label(settings.held_out_lists)


@label_of.register
def _(settings: JudgeSettings) -> str:
    return "_".join(settings.systems) or "baselines"


@label_of.register
def _(settings: ExportSettings) -> str:  # noqa: ARG001
    return "pt"


def _tokenizer_label(settings: Tokenizing) -> str:
    tokenizer = Path(settings.tokenizer).name if settings.tokenizer else f"bpe{settings.vocab_size}"
    return f"{tokenizer}_len{settings.max_seq_len}"


def _lists_label(path: Path) -> str:
    """The project that was left out and is judged, or what the lists are called."""
    return f"left_out_{path.parent.name}" if path.stem == "held_out" else path.stem


def _without_project(path: Path) -> str:
    """The project that lists of patches leave out, ``projects/<project>/train.jsonl``."""
    return f"_without_{path.parent.name}" if path.parent.parent.name == "projects" else ""


def _model_label(model: ModelSettings) -> str:
    """The kind, or what is asked to be trained of it."""
    if not isinstance(model, TextEncoder):
        return model.kind
    kind = "" if model.kind == "transformer" else f"{model.kind}_"
    if model.pretrained == "off":
        return f"{kind}{model.small.family}{model.small.num_layers}x{model.small.hidden_dim}"
    name = Path(model.backbone).name
    return f"{kind}{name}-or-small" if model.pretrained == "auto" else f"{kind}{name}"


def _short(number: float) -> str:
    """``2e-5`` rather than ``2e-05``."""
    return f"{number:g}".replace("e-0", "e-")
