"""What a report of retrieval is made of, read from finished runs; the one module of the report that reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.jobs.contract import SETTINGS_FILE
from tasks.jobs import RunReference
from tasks.report_provenance import provenance_of, read_json
from tasks.retrieval_runs import RetrievalRuns
from tasks.retrieval_steps import exported_patch_ranker
from tasks.retrieval_titles import title_of

RETRIEVAL_FILE = "retrieval.json"
JUDGEMENT_FILE = "judgement.json"
HISTORY_FILE = "history.json"
NOT_JUDGED = (
    "The rerankers are not judged: the test stayed sealed (open_test is empty), and the lists of validation chose them."
)


@dataclass(frozen=True)
class RetrievalInputs:
    """All that a report shows; ``None``, or empty: it was not measured.

    Args:
        retrieval: Content of ``retrieval.json``.
        reranking: Content of ``judgement.json`` of the rerankers.
        patches: The same of the patch rankers.
        shown_without: The project that the patch ranker whose learning is shown, and that is exported, left out.
        not_left_out: Projects of which nothing can be judged.
        histories: Epochs of each model by its title.
        caveats: What must be known before any number is read.
        provenance: ``runs``, ``openings`` and ``settings``, as ``report_provenance`` gives them.
    """

    retrieval: Mapping[str, Any] | None = None
    reranking: Mapping[str, Any] | None = None
    patches: Mapping[str, Any] | None = None
    shown_without: str | None = None
    not_left_out: tuple[str, ...] = ()
    histories: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


def read_retrieval_inputs(runs_path: Path, found: RetrievalRuns) -> RetrievalInputs:
    """What the report shows, from finished runs.

    Args:
        runs_path: The run root, where openings are logged.
        found: What a flow ran.
    """
    encoder, rerankers, patches = found.encoder, found.rerankers, found.patches
    trained, beside = _trained(found), _beside(found)
    learnt = _shown(trained, found)
    runs = {name: run.run_path for name, run in {**trained, **beside}.items()}
    shown = {name: run.run_path for name, run in {**learnt, **beside}.items()}
    is_sealed = rerankers is not None and rerankers.judge is None
    return RetrievalInputs(
        retrieval=_document(encoder.retrieve, RETRIEVAL_FILE) if encoder else None,
        reranking=_document(rerankers.judge, JUDGEMENT_FILE) if rerankers else None,
        patches=_document(patches.judge, JUDGEMENT_FILE) if patches else None,
        shown_without=exported_patch_ranker(patches)[0] if patches else None,
        not_left_out=patches.not_left_out if patches else (),
        histories={name: read_json(run.run_path / HISTORY_FILE)["epochs"] for name, run in learnt.items()},
        caveats=(*([NOT_JUDGED] if is_sealed else []), *caveats_of(trained)),
        provenance=provenance_of(runs_path, runs, records=[encoder.pairs.run_path] if encoder else [], shown=shown),
    )


def _document(run: RunReference | None, name: str) -> Mapping[str, Any] | None:
    return None if run is None else dict(read_json(run.run_path / name))


def _trained(found: RetrievalRuns) -> dict[str, RunReference]:
    """Every training by what it is called."""
    trained = {"Encoder": found.encoder.train} if found.encoder else {}
    for name, by_seed in found.rerankers.train.items() if found.rerankers else ():
        trained |= {f"{title_of(name)} seed {seed}": run for seed, run in by_seed.items()}
    for project, by_seed in found.patches.train.items() if found.patches else ():
        trained |= {f"Patch ranker without {project} seed {seed}": run for seed, run in by_seed.items()}
    return trained


def _shown(trained: Mapping[str, RunReference], found: RetrievalRuns) -> dict[str, RunReference]:
    """Those whose learning and settings are shown: of the patch rankers, that which learnt from most bugs."""
    exported = exported_patch_ranker(found.patches)[1].run_path if found.patches else None
    return {
        name: run for name, run in trained.items() if not name.startswith("Patch ranker") or run.run_path == exported
    }


def _beside(found: RetrievalRuns) -> dict[str, RunReference]:
    """Runs of data and measurement."""
    encoder, rerankers, patches = found.encoder, found.rerankers, found.patches
    beside: dict[str, RunReference] = {}
    if encoder:
        beside |= {"balance": encoder.balance, "pairs": encoder.pairs, "embed": encoder.embed}
        beside |= {"retrieve": encoder.retrieve}
    if rerankers:
        beside |= {"mine": rerankers.mine}
        beside |= {"judge rerankers": rerankers.judge} if rerankers.judge else {}
    if patches:
        beside |= {"candidates": patches.candidates, "judge patch rankers": patches.judge}
    return beside


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
