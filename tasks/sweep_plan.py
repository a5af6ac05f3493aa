"""A sweep made ready: every trial, the data each model reads, and what is missing, before anything is run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from models.errors import SettingsInvalid, WeightsMissing
from models.jobs.compute import chosen_backbone
from models.settings.documents import load_settings
from models.settings.findings import FindingsSettings
from models.settings.selection import SELECTION_FILE, Selection
from models.settings.train import TrainSettings
from models.settings.transformer import TransformerSettings
from tasks.sweep_settings import SweepSettings
from tasks.trials import Trial, expand


@dataclass(frozen=True)
class SweepPlan:
    """A sweep made ready.

    Args:
        trials: All trials, in the order they are begun.
        data: The job that makes the records of each model, by model.
        missing: Backbones whose weights are not at hand, by model.
        announcements: What a person should be told before it begins.
    """

    trials: tuple[Trial, ...]
    data: dict[str, FindingsSettings]
    missing: dict[str, str]
    announcements: tuple[str, ...]

    def require_all(self) -> None:
        """Nothing may be missing: neither weights nor findings.

        Raises:
            SettingsInvalid: the weights of a model cannot be had, or there is no folder of findings. Not retried.
        """
        if self.missing:
            raise SettingsInvalid(
                f"no weights at hand of {', '.join(dict.fromkeys(self.missing.values()))}. Either fetch them once with "
                "--allow-network (allow_network: true; a name that is pinned nowhere needs its commit: "
                "models.*.settings.revision), or train tiny models from nothing with the small variant of the file "
                "(--config …_small.yaml, -p config=…_small.yaml)"
            )
        for folder in {job.data for job in self.data.values()}:
            if not folder.is_dir():
                raise SettingsInvalid(
                    f"findings.data: no folder at {folder}; give one with train, val and test/TECHNOLOGY as .jsonl or "
                    f".jsonl.gz (--data), or make a sample: python -m models.data.generated_findings {folder}"
                )


def plan_sweep(settings: SweepSettings) -> SweepPlan:
    """Multiply out the grid and look for what each model needs; of a name on the hub only config.json is fetched.

    Raises:
        SettingsInvalid: the selection cannot be read, the grid is empty or names a trial twice, or a backbone is no
            encoder. Not retried.
    """
    selection = None if settings.selection is None else read_selection(settings.selection)
    expansion = expand(settings, selection)
    trials = [_with_network(settings, trial) for trial in expansion.trials]
    data: dict[str, FindingsSettings] = {}
    missing: dict[str, str] = {}
    for model, encoder in {trial.model: trial.settings for trial in trials}.items():
        try:
            data[model] = _data_job(settings, encoder)
        except WeightsMissing as error:
            missing[model] = error.name
    return SweepPlan(tuple(trials), data, missing, tuple(expansion.announcements))


def refuse_faulty_grid(settings: SweepSettings, source: Path) -> None:
    """What the settings list must be trials, where no selection takes its place.

    Raises:
        SettingsInvalid: a model has no grid, or two trials are the same; names the file. Not retried.
    """
    if settings.selection is not None:
        return
    try:
        expand(settings, None)
    except SettingsInvalid as error:
        raise SettingsInvalid(f"{source}: {error}") from None


def read_selection(path: Path) -> Selection:
    """The selection of an earlier stage, given as the file or as the directory of its ranking.

    Raises:
        SettingsInvalid: there is none, or it is none. Not retried.
    """
    file = path / SELECTION_FILE if path.is_dir() else path
    if not file.is_file():
        raise SettingsInvalid(
            f"selection: no file {file}; give the {SELECTION_FILE} that the stage before printed at its end, or leave "
            "selection empty to try what the settings list"
        )
    return load_settings(Selection, file)


def train_job(settings: SweepSettings, trial: Trial, records_path: Path) -> TrainSettings:
    """The training of one trial; the test split is no part of it."""
    return TrainSettings(
        train_data=records_path / "train.jsonl",
        val_data=records_path / "valid.jsonl",
        model=trial.settings,
        seed=trial.seed,
        compute=settings.compute,
        checkpoints=settings.checkpoints,
        quick_test=settings.findings.quick_test,
    )


def _with_network(settings: SweepSettings, trial: Trial) -> Trial:
    allowed = settings.allow_network or trial.settings.allow_network
    return replace(trial, settings=trial.settings.model_copy(update={"allow_network": allowed}))


def _data_job(settings: SweepSettings, encoder: TransformerSettings) -> FindingsSettings:
    """Records in the model's own tokens: models that share a tokenizer share the run."""
    choice = chosen_backbone(encoder)
    if choice.files is None:
        return settings.findings.model_copy(update={"tokenizer": None, "tokenizer_revision": None})
    tokenizer = {"tokenizer": choice.files.name, "tokenizer_revision": choice.files.revision}
    return settings.findings.model_copy(update={**tokenizer, "allow_network": encoder.allow_network})
