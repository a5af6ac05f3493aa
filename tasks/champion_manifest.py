"""What ``champion.json`` says: everything that one needs to know, check or repeat of a frozen champion.

The same runs give the same bytes: no dates, paths, hosts or attempts get in. It is a sealed document; each section but
the openings is described from the runs alone, so that ``champion_checks`` can describe it again and compare.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.errors import DataInvalid
from models.evaluation.record_sets import set_of
from models.jobs.keys import sha256_of
from models.jobs.layout import BUILD_FILE
from models.jobs.question import QUESTION_FILE
from models.store.manifest import Manifest, read_manifest
from models.store.openings import Opening, read_openings
from models.store.run_identity import RUN_KEY_DIGITS, RunIdentity
from tasks.champion_runs import CHAMPION, ChampionRuns, read_json
from tasks.run_view import SWEEP_FILE

FORMAT = "codewarden champion 1"
CHAMPIONS_FOLDER = "champions"
CHAMPION_FILE = "champion.json"
OPENINGS = "openings"
RECORD_FILES = ("train.jsonl", "valid.jsonl", "test.jsonl")
MEASURING_RUNS = ("predict", "evaluate")
"""Roles of the runs that measured the champion after it was chosen."""
OF_EVALUATION = ("names", "measured", "validation", "test")
"""Sections that tell what these measured."""
TOLD_OF_CANDIDATES = (
    "configuration",
    "family",
    "model",
    "rank",
    "f1",
    "f1_by_seed",
    "median_seed",
    "thresholds",
    "cost",
    "gap",
    "in_best_set",
    "trials",
)
"""What is told of each candidate, in the words of ``ranking.json``."""


def describe_champion(runs: ChampionRuns) -> dict[str, Any]:
    """Every section of ``champion.json`` but the openings, as JSON values.

    Raises:
        DataInvalid: The threshold was not frozen before, the evaluation took another one, or a digest is missing.
            Not retried.
    """
    label = runs.trials[CHAMPION]
    entry = next(e for e in runs.ranking["configurations"] if e["configuration"] == runs.ranking["first"])
    train = runs.train[label]
    identities = {role: _plain(found) for role, found in runs.identities().items()}
    body = {
        "format": FORMAT,
        "name": champion_name(entry["model"], identities),
        "family": entry["family"],
        "model": entry["model"],
        "configuration": entry["configuration"],
        "trial": label,
        "seed": entry["median_seed"],
        "chosen": _chosen(runs.ranking),
        "threshold": _threshold(runs, label),
        "hyperparameters": _deciding(train),
        "data": _data(runs.data),
        "weights": _weights(train),
        "code": _code(train),
        "runs": identities,
        "names": dict(runs.names),
        "measured": runs.evaluation["settings"],
        "validation": _measured(runs, "valid"),
        "test": {set_of(split): _measured(runs, split) for split in runs.evaluation["splits"] if split != "valid"},
    }
    plain: dict[str, Any] = json.loads(json.dumps(body))
    return plain


def champion_name(model: str, identities: Mapping[str, Any]) -> str:
    """``<model>-<key>``; the key is of the runs that it was chosen by, whichever evaluation measured it after."""
    return f"{model}-{sha256_of({'format': FORMAT, 'runs': _choosing(identities)})[:RUN_KEY_DIGITS]}"


def choice_in(body: Mapping[str, Any]) -> dict[str, Any]:
    """What ``champion.json`` says of who was chosen and how, without what was measured after."""
    sections = {name: told for name, told in body.items() if name not in (*OF_EVALUATION, OPENINGS)}
    return {**sections, "runs": _choosing(body["runs"])}


def _choosing(identities: Mapping[str, Any]) -> dict[str, Any]:
    return {role: identity for role, identity in identities.items() if role not in MEASURING_RUNS}


def openings_so_far(runs_path: Path, runs: ChampionRuns) -> list[dict[str, str]]:
    """What is logged of this test set, in canonical form: each opening once however often it was attempted, sorted.

    The same findings in another model's tokens are the same test set: every job under the run root that made records of
    the same raw data counts.

    Raises:
        ObjectCorrupt: The log is damaged. Not retried.
    """
    same_test = _digests_of_test(runs_path, runs.data)
    return canonical_openings(o for o in read_openings(runs_path) if o.data_sha256 in same_test)


def canonical_openings(openings: Iterable[Opening]) -> list[dict[str, str]]:
    """Openings without times, attempts and what else differs between equal runs; each once, sorted."""
    told = {(o.model_sha256, o.split, o.purpose, o.run_key) for o in openings}
    return [dict(zip(("model_sha256", "split", "purpose", "run_key"), each, strict=True)) for each in sorted(told)]


def _chosen(ranking: Mapping[str, Any]) -> dict[str, Any]:
    """How configuration and seed were chosen, on validation."""
    same = ("stage", "rules", "no_clear_winner", "val", "confidence", "num_resamples", "best_set", "first")
    also = ("first_because", "runner_up", "probability_beats_runner_up")
    return {
        **{name: ranking[name] for name in (*same, *also)},
        "candidates": [{name: entry[name] for name in TOLD_OF_CANDIDATES} for entry in ranking["configurations"]],
    }


def _threshold(runs: ChampionRuns, label: str) -> dict[str, Any]:
    """The frozen threshold and the ranking it comes from."""
    path = runs.rank / "trials" / label / SWEEP_FILE
    found = read_json(path)
    if found["decision"] != "frozen":
        raise DataInvalid(
            path,
            f"its threshold was settled by {found['decision']} in this very ranking; a champion's is frozen before",
        )
    evaluated = runs.evaluation["thresholds"][runs.names[CHAMPION]]["value"]
    if evaluated != found["threshold"]:
        raise DataInvalid(
            runs.evaluate, f"measured {label} at {evaluated!r}, its frozen threshold is {found['threshold']!r}"
        )
    return {"value": found["threshold"], "source": found["source"]}


def _data(data_path: Path) -> dict[str, Any]:
    files = _manifest(data_path).files
    missing = [name for name in RECORD_FILES if name not in files]
    if missing:
        raise DataInvalid(data_path, f"its manifest does not list {missing[0]}; give a run that made records")
    return {"raw_sha256": _deciding(data_path)["data"], "records": {name: asdict(files[name]) for name in RECORD_FILES}}


def _weights(train_path: Path) -> dict[str, Any]:
    files = _manifest(train_path).files
    weights = {name: asdict(digest) for name, digest in files.items() if is_weights(name)}
    if not weights:
        raise DataInvalid(train_path, "its manifest lists no weights (best_model/…); give a finished training run")
    return weights


def is_weights(name: str) -> bool:
    """Whether a file of a training run is part of the model that others load."""
    return name.startswith("best_model") or name.endswith(".safetensors")


def _code(train_path: Path) -> dict[str, Any]:
    build = read_json(train_path / BUILD_FILE)
    return {
        "sources_sha256": sha256_of(build["files"]),
        "libraries": build["libraries"],
        "machine": build["machine"],
    }


def _measured(runs: ChampionRuns, split: str) -> dict[str, Any]:
    """Champion, runner-up and baselines on one set, with intervals."""
    measured = runs.evaluation["splits"][split]
    roles = {name: role for role, name in runs.names.items()}
    described = runs.evaluation["systems"]
    return {
        **{name: measured[name] for name in ("sha256", "num_records", "num_groups", "num_positive")},
        "systems": {
            name: {
                "role": roles.get(name, "baseline"),
                "title": described[name]["title"],
                "threshold": runs.evaluation["thresholds"][name]["value"],
                "metrics": system["metrics"],
            }
            for name, system in measured["systems"].items()
            if name in roles or not described[name]["is_model"]
        },
    }


def _digests_of_test(runs_path: Path, data_path: Path) -> set[str]:
    own = _manifest(data_path)
    raw_sha256 = _deciding(data_path)["data"]
    found = {own.files["test.jsonl"].sha256}
    for path in (runs_path / own.kind).glob("*/*"):
        manifest = read_manifest(path)
        if manifest is not None and "test.jsonl" in manifest.files and _deciding(path).get("data") == raw_sha256:
            found.add(manifest.files["test.jsonl"].sha256)
    return found


def _deciding(run_path: Path) -> dict[str, Any]:
    """The settings that decided a run, inputs as digests; its run key is their digest."""
    decides: dict[str, Any] = read_json(run_path / QUESTION_FILE)["deciding"]
    return decides


def _manifest(run_path: Path) -> Manifest:
    manifest = read_manifest(run_path)
    if manifest is None:
        raise DataInvalid(run_path, "not finished (no manifest); finish it first")
    return manifest


def _plain(found: RunIdentity | Mapping[str, RunIdentity]) -> dict[str, Any]:
    if isinstance(found, RunIdentity):
        return asdict(found)
    return {name: asdict(identity) for name, identity in found.items()}
