"""The jobs of phase 2, as settings: what each step is told, which systems there are, and what is compared with what.

Pure functions of the flow's settings and of where earlier jobs lie; the order is in ``flows.phase2``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from models.settings.audit import AuditSettings
from models.settings.collect import CollectSettings
from models.settings.compare import ComparedSystem, CompareSettings
from models.settings.folds import FoldsSettings
from models.settings.fuse import FuseSettings
from models.settings.predict import PredictSettings
from models.settings.preprocess import PreprocessSettings
from models.settings.probe import BeforeAfter, ProbeSettings, Reformatted, Renamed
from models.settings.train import TrainSettings
from models.settings.weigh import Treatment, WeighSettings
from tasks.phase2_settings import UNWEIGHTED, ModelName, Phase2Settings, ProbeName

FUSION = "fusion"
CONFIDENCE: Treatment = "confidence"
PHASES = {"phase1": "Phase 1", "phase2": "Phase 2"}
TITLES = {UNWEIGHTED: "no weights", "confidence": "weights", "prune": "pruned", "random": "random weights"}
"""What people call a treatment."""


@dataclass(frozen=True)
class System:
    """A model as it is trained in one phase, over all seeds.

    Args:
        phase: phase1 learns from clean data alone.
        model: Its kind.
        treatment: How its labels are treated.
    """

    phase: Literal["phase1", "phase2"]
    model: ModelName
    treatment: Treatment | Literal["none"]

    @property
    def name(self) -> str:
        """Key in tables: the main system of each phase has the short one."""
        short = f"{self.phase}_{self.model}"
        return short if self.is_main else f"{short}_{self.treatment}"

    @property
    def is_main(self) -> bool:
        """Whether it stands for its phase."""
        return self.phase == "phase1" or self.treatment == CONFIDENCE

    @property
    def title(self) -> str:
        """For people."""
        short = f"{PHASES[self.phase]} {self.model}"
        return short if self.is_main else f"{short}, {TITLES[self.treatment]}"


def systems_of(settings: Phase2Settings) -> list[System]:
    """Every system that is trained, in the order of the tables."""
    treatments = (UNWEIGHTED, *settings.treatments)
    return [
        *(System("phase1", model, UNWEIGHTED) for model in settings.models),
        *(System("phase2", model, CONFIDENCE) for model in settings.models),
        *(System("phase2", model, treatment) for model in settings.compared_on for treatment in treatments),
    ]


def comparisons_of(settings: Phase2Settings) -> tuple[tuple[str, str], ...]:
    """What is compared with what; fixed by the settings, before anything is measured."""
    main = {model: f"phase2_{model}" for model in settings.models}
    others = [system for system in systems_of(settings) if not system.is_main]
    phases = [(main[model], f"phase1_{model}") for model in settings.models]
    treated = [(main[system.model], system.name) for system in others]
    noisy = [(system.name, f"phase1_{system.model}") for system in others if system.treatment == UNWEIGHTED]
    fused_against = (*main.values(), *(f"phase1_{model}" for model in settings.models)) if fuses(settings) else ()
    fused = [(FUSION, name) for name in fused_against]
    return (*phases, *noisy, *treated, *fused)


def fuses(settings: Phase2Settings) -> bool:
    """Whether there is anything to fuse."""
    return len(settings.models) > 1


def clean_collect_job(settings: Phase2Settings) -> CollectSettings:
    """The same without noisy collections: what Phase 1 learns from, as free of leaks as Phase 2's."""
    return settings.collect.model_copy(update={"sources": {}})


def preprocess_job(settings: Phase2Settings, collected_path: Path) -> PreprocessSettings:
    """Collected functions to records."""
    values = {name: getattr(settings.records, name) for name in type(settings.records).model_fields}
    values["quick_test"] = settings.quick_test or settings.records.quick_test
    values["near_duplicate_similarity"] = settings.collect.near_duplicate_similarity
    return PreprocessSettings(data=collected_path, source=settings.collect.clean_name, **values)


def audit_job(settings: Phase2Settings, records_path: Path) -> AuditSettings:
    """What a careful reader checks before training."""
    similarity = settings.collect.near_duplicate_similarity
    return AuditSettings(data=records_path, near_duplicate_similarity=similarity, seed=settings.fold_seed)


def folds_job(settings: Phase2Settings, records_path: Path, by: Literal["group", "project"]) -> FoldsSettings:
    """Folds of the training records."""
    similarity = settings.collect.near_duplicate_similarity
    return FoldsSettings(
        data=records_path,
        num_folds=settings.num_folds,
        by=by,
        near_duplicate_similarity=similarity,
        seed=settings.fold_seed,
    )


def fold_training_job(
    settings: Phase2Settings, model: ModelName, records_path: Path, folds_path: Path, fold: int
) -> TrainSettings:
    """A training that leaves one fold out; unweighted, for weights come from what it says of that fold."""
    return _training(settings, model, records_path, settings.fold_seed, folds=folds_path, left_out_fold=fold)


def fold_predict_job(
    settings: Phase2Settings, model_path: Path, records_path: Path, folds_path: Path
) -> PredictSettings:
    """Scores of what the model left out, and of validation for its temperature."""
    return PredictSettings(
        model_run=model_path,
        data=records_path,
        splits=("valid", "held_out"),
        folds=folds_path,
        compute=settings.compute.model_copy(update={"num_ranks": 1}),
    )


def weigh_job(
    settings: Phase2Settings,
    treatment: Treatment,
    records_path: Path,
    folds_path: Path,
    out_of_fold: Mapping[str, Sequence[Path]],
    seed: int,
) -> WeighSettings:
    """Out-of-fold scores to weights; ``seed`` shuffles random ones."""
    rules = {name: getattr(settings.noise, name) for name in type(settings.noise).model_fields}
    return WeighSettings(
        data=records_path,
        folds=folds_path,
        out_of_fold={model: tuple(paths) for model, paths in out_of_fold.items()},
        treatment=treatment,
        seed=seed,
        **rules,
    )


def weighings_of(settings: Phase2Settings) -> list[tuple[Treatment, int]]:
    """Each treatment with its seed.

    Random weights are shuffled anew for each seed of training, lest one shuffle's luck look like an effect.
    """
    once: list[tuple[Treatment, int]] = [(CONFIDENCE, settings.fold_seed)]
    for treatment in settings.treatments if settings.compared_on else ():
        seeds = settings.seeds if treatment == "random" else (settings.fold_seed,)
        once += [(treatment, seed) for seed in seeds]
    return once


def weights_of(
    settings: Phase2Settings, system: System, seed: int, weighed: Mapping[tuple[Treatment, int], Path]
) -> Path | None:
    """The weights that one seed of a system is trained with."""
    if system.treatment == UNWEIGHTED:
        return None
    own_seed = seed if system.treatment == "random" else settings.fold_seed
    return weighed[system.treatment, own_seed] / "weights.jsonl"


def training_job(
    settings: Phase2Settings, system: System, records_path: Path, seed: int, weights_path: Path | None
) -> TrainSettings:
    """One seed of a system."""
    weighting = settings.weighting if weights_path is not None else "loss"
    return _training(settings, system.model, records_path, seed, weights=weights_path, weighting=weighting)


def _training(
    settings: Phase2Settings, model: ModelName, records_path: Path, seed: int, **differing: Any
) -> TrainSettings:
    return TrainSettings(
        train_data=records_path / "train.jsonl",
        val_data=records_path / "valid.jsonl",
        model={"transformer": settings.transformer, "gnn": settings.gnn}[model],
        seed=seed,
        quick_test=settings.quick_test,
        compute=settings.compute,
        checkpoints=settings.checkpoints,
        **differing,
    )


def predict_job(
    settings: Phase2Settings, model_path: Path, records_path: Path, probes: Mapping[str, Path]
) -> PredictSettings:
    """Weights to probabilities: validation, then test and probes, opened once."""
    return PredictSettings(
        model_run=model_path,
        data=records_path,
        open_test=settings.open_test or None,
        probes=dict(probes) if settings.open_test else {},
        compute=settings.compute.model_copy(update={"num_ranks": 1}),
    )


def probe_jobs(settings: Phase2Settings, records_path: Path, collected_path: Path) -> dict[ProbeName, ProbeSettings]:
    """What is asked beside the test split; nothing while that stays sealed."""
    kinds = {
        "rename": Renamed(seed=settings.fold_seed),
        "reformat": Reformatted(seed=settings.fold_seed),
        "pairs": BeforeAfter(data=collected_path),
    }
    if not settings.open_test:
        return {}
    asked = [name for name in settings.probes if name != "pairs" or settings.collect.pairs]
    return {name: ProbeSettings(records=records_path, what=kinds[name]) for name in asked}


def fuse_job(
    settings: Phase2Settings,
    records_path: Path,
    folds_path: Path,
    out_of_fold: Mapping[str, Sequence[Path]],
    bases: Mapping[str, Path],
) -> FuseSettings:
    """Out-of-fold scores to a fusion, applied to one seed's models."""
    return FuseSettings(
        data=records_path,
        folds=folds_path,
        out_of_fold={model: tuple(paths) for model, paths in out_of_fold.items()},
        bases=dict(bases),
        method=settings.fusion.method,
        regularisation=settings.fusion.regularisation,
        confidence=settings.confidence,
        seed=settings.fold_seed,
    )


@dataclass(frozen=True)
class Measured:
    """Finished predictions of every system by seed, and of the fusion.

    Args:
        systems: Run of each system and seed.
        fusion: Run of each seed; empty where nothing is fused.
    """

    systems: Mapping[System, Mapping[int, Path]]
    fusion: Mapping[int, Path]

    def compared(self) -> dict[str, ComparedSystem]:
        """As the compare job takes them."""
        found = {
            system.name: ComparedSystem(
                title=system.title,
                phase=system.phase,
                model_kind=system.model,
                predictions={str(seed): path for seed, path in runs.items()},
            )
            for system, runs in self.systems.items()
        }
        if self.fusion:
            found[FUSION] = ComparedSystem(
                title="Fusion",
                phase="fusion",
                model_kind="fusion",
                predictions={str(seed): path for seed, path in self.fusion.items()},
            )
        return found


def compare_job(
    settings: Phase2Settings,
    records_path: Path,
    clean_records_path: Path,
    measured: Measured,
    probes: Mapping[str, Path],
) -> CompareSettings:
    """Predictions of all systems to one table."""
    return CompareSettings(
        data=records_path,
        same_data=(clean_records_path,),
        systems=measured.compared(),
        comparisons=comparisons_of(settings),
        probes=dict(probes),
        num_resamples=settings.num_resamples,
        confidence=settings.confidence,
        seed=settings.fold_seed,
    )
