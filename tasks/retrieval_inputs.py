"""What a report of retrieval is made of, read from finished runs; the one module of the report that reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.jobs.contract import SETTINGS_FILE
from tasks.jobs import RunReference
from tasks.report_provenance import provenance_of, read_json
from tasks.retrieval_jobs import TITLES
from tasks.retrieval_steps import EncoderRuns, PatchRuns, RerankerRuns, exported_patch_ranker

RETRIEVAL_FILE = "retrieval.json"
JUDGEMENT_FILE = "judgement.json"
HISTORY_FILE = "history.json"


@dataclass(frozen=True)
class RetrievalInputs:
    """All that a report shows; ``None``, or empty: it was not measured.

    Args:
        retrieval: Content of ``retrieval.json``.
        reranking: Content of ``judgement.json`` of the rerankers.
        patches: The same of the patch rankers.
        histories: Epochs of each model by its title.
        caveats: What must be known before any number is read.
        provenance: ``runs``, ``openings`` and ``settings``, as ``report_provenance`` gives them.
    """

    retrieval: Mapping[str, Any] | None = None
    reranking: Mapping[str, Any] | None = None
    patches: Mapping[str, Any] | None = None
    histories: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def read_retrieval_inputs(
    runs_path: Path, *, encoder: EncoderRuns | None, rerankers: RerankerRuns | None, patches: PatchRuns | None
) -> RetrievalInputs:
    """What the report shows, from finished runs.

    Args:
        runs_path: The run root, where openings are logged.
        encoder: Its runs; ``None``: none was trained.
        rerankers: "
        patches: "
    """
    trained = _trained(encoder, rerankers, patches)
    beside = _beside(encoder, rerankers, patches)
    runs = {name: run.run_path for name, run in {**trained, **beside}.items()}
    shown = {name: run.run_path for name, run in {**_shown(trained, patches), **beside}.items()}
    return RetrievalInputs(
        retrieval=read_json(encoder.retrieve.run_path / RETRIEVAL_FILE) if encoder else None,
        reranking=read_json(rerankers.judge.run_path / JUDGEMENT_FILE) if rerankers else None,
        patches=read_json(patches.judge.run_path / JUDGEMENT_FILE) if patches else None,
        histories={
            name: read_json(run.run_path / HISTORY_FILE)["epochs"] for name, run in _shown(trained, patches).items()
        },
        caveats=tuple(caveats_of(trained)),
        provenance=provenance_of(runs_path, runs, records=[encoder.pairs.run_path] if encoder else [], shown=shown),
    )


def _trained(
    encoder: EncoderRuns | None, rerankers: RerankerRuns | None, patches: PatchRuns | None
) -> dict[str, RunReference]:
    """Every training by what it is called."""
    found = {"Encoder": encoder.train} if encoder else {}
    for name, by_seed in rerankers.runs.items() if rerankers else ():
        found |= {f"{TITLES[name]} seed {seed}": run.train for seed, run in by_seed.items()}
    for project, by_seed in patches.runs.items() if patches else ():
        found |= {f"Patch ranker without {project} seed {seed}": run.train for seed, run in by_seed.items()}
    return found


def _shown(trained: Mapping[str, RunReference], patches: PatchRuns | None) -> dict[str, RunReference]:
    """Those whose learning and settings are shown: of the patch rankers, that which learnt from most bugs."""
    exported = exported_patch_ranker(patches)["patch_ranker"].run_path if patches else None
    return {
        name: run for name, run in trained.items() if not name.startswith("Patch ranker") or run.run_path == exported
    }


def _beside(
    encoder: EncoderRuns | None, rerankers: RerankerRuns | None, patches: PatchRuns | None
) -> dict[str, RunReference]:
    """Runs of data and measurement."""
    found: dict[str, RunReference] = {}
    if encoder:
        found |= {"balance": encoder.balance, "pairs": encoder.pairs, "embed": encoder.embed}
        found |= {"retrieve": encoder.retrieve}
    if rerankers:
        found |= {"mine": rerankers.mine, "judge rerankers": rerankers.judge}
    if patches:
        found |= {"candidates": patches.candidates, "judge patch rankers": patches.judge}
    return found


def caveats_of(trained: Mapping[str, RunReference]) -> list[str]:
    """Models that were trained by a quick test, or without the weights that were asked for."""
    found = []
    quick = [name for name, run in trained.items() if run.numbers.get("quick_test")]
    if quick:
        found.append(f"{', '.join(quick)}: a quick test (100 records, 1 epoch); the numbers mean nothing.")
    for name, run in trained.items():
        backbone = run.numbers.get("backbone") or {}
        model = read_json(run.run_path / SETTINGS_FILE)["model"]
        if backbone.get("pretrained") is False and model.get("pretrained", "off") != "off":
            found.append(
                f"{name} was trained from nothing, because {backbone.get('reason') or 'no reason is recorded'}: these "
                f"are not the numbers of {model['backbone']}."
            )
    return found
