"""Checks of a frozen champion, offline: every digest and every number computed again from what is stored.

Three routes lead to the same answers: files against their digests, settings against the run keys that name them, and
metrics against the predictions of each record. A changed byte in any of them fails a check. Sealed records are read
here without an opening: their predictions were made before, and nothing is chosen.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import CodewardenError, ObjectCorrupt, ObjectMissing
from models.jobs.build import Build
from models.jobs.keys import content_digest, sha256_of
from models.jobs.layout import BUILD_FILE
from models.jobs.question import QUESTION_FILE
from models.settings.selection import RANKING_FILE
from models.store.manifest import digest_file, read_manifest, verify_file, verify_manifest
from models.store.run_identity import RUN_KEY_DIGITS, identity_of
from tasks.champion_manifest import OPENINGS, champion_name, describe_champion, openings_so_far
from tasks.champion_runs import CHAMPION, FROZEN, ChampionRuns, find_again, read_json

if TYPE_CHECKING:
    from models.evaluation.records import SplitRecords

VALID_PREDICTIONS, TEST_PREDICTIONS = "predictions_valid.jsonl", "predictions_test.jsonl"
ROUNDING = 1.5e-6
"""Metrics are stored with six decimals."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Args:
        name: What.
        problem: What is wrong; ``None`` where nothing is.
    """

    name: str
    problem: str | None = None

    def __str__(self) -> str:
        return f"ok    {self.name}" if self.problem is None else f"FAIL  {self.name}: {self.problem}"


def check_champion(champion: Mapping[str, Any], runs_path: Path) -> Iterator[Check]:
    """All checks of a champion, one after the other; where its runs are not there, no more than that is said.

    Args:
        champion: Content of ``champion.json``, its seal checked.
        runs_path: The run root, wherever it lies now.
    """
    name = champion_name(str(champion.get("model")), champion.get("runs", {}))
    yield _compared("name of the champion and key of its runs", champion.get("name"), name)
    try:
        runs = find_again(runs_path, champion["runs"], champion["names"])
    except (KeyError, CodewardenError) as error:
        yield Check("runs found by their keys, manifests as frozen", _said(error))
        return
    yield Check(f"{len(_paths_of(runs))} runs found by their keys, manifests as frozen")
    yield from _check_files(runs)
    yield from _check_keys(runs)
    yield from _check_reading(runs)
    yield from _check_sections(champion, runs)
    yield from _check_selection(runs)
    yield _tried("threshold in the ranking that it was frozen from", _require_source, champion, runs_path)
    yield from _check_metrics(champion, runs)
    yield _tried("openings of this test set are in the log", _require_openings, champion, runs, runs_path)


def _check_files(runs: ChampionRuns) -> Iterator[Check]:
    """Bytes against manifests; of trials that were not chosen only what the choice was made from."""
    chosen = f"train {runs.trials[CHAMPION]}"
    for name, path in _paths_of(runs).items():
        manifest = read_manifest(path)
        assert manifest is not None  # or it would not have been found
        if name == chosen or not name.startswith("train "):
            yield _tried(f"{len(manifest.files)} files of {name}", verify_manifest, path)
        elif VALID_PREDICTIONS in manifest.files:
            expected = manifest.files[VALID_PREDICTIONS]
            yield _tried(f"validation predictions of {name}", verify_file, path / VALID_PREDICTIONS, expected)
        else:
            yield Check(f"validation predictions of {name}", f"its manifest does not list {VALID_PREDICTIONS}")


def _check_keys(runs: ChampionRuns) -> Iterator[Check]:
    """What each run says of settings and build against the keys that name it."""
    for name, path in _paths_of(runs).items():
        yield _tried(f"settings and build of {name}", _require_keys, path)


def _require_keys(run_path: Path) -> None:
    identity = identity_of(run_path)
    question, build = run_path / QUESTION_FILE, run_path / BUILD_FILE
    found = sha256_of(read_json(question)["deciding"])
    if found != identity.run_key:
        raise ObjectCorrupt(str(question), f"settings of run key {identity.run_key}", f"those of {found}")
    found = Build(**read_json(build)).key
    if found != identity.build_key:
        raise ObjectCorrupt(str(build), f"a build of key {identity.build_key}", f"that of {found}")


def _check_reading(runs: ChampionRuns) -> Iterator[Check]:
    """That each run read what the one before it wrote: inputs enter a run key by their digests."""
    champion = runs.train[runs.trials[CHAMPION]]
    trials = {label: trial["run"] for label, trial in _deciding(runs.rank)["trials"].items()}
    predictions = _deciding(runs.evaluate)["predictions"]
    yield _compared(
        "ranking read these trainings", trials, {label: content_digest(path) for label, path in runs.train.items()}
    )
    yield _compared(
        "training of the champion read these records",
        _deciding(champion)["train_data"],
        digest_file(runs.data / "train.jsonl").sha256,
    )
    yield _compared(
        "predictions of the champion are of these weights",
        _deciding(runs.predict[CHAMPION])["model_run"],
        content_digest(champion),
    )
    yield _compared(
        "evaluation took its thresholds from this ranking",
        _deciding(runs.evaluate)["decision"],
        {"kind": FROZEN, "ranking": content_digest(runs.rank)},
    )
    yield _compared(
        "evaluation read these predictions",
        {role: predictions.get(name) for role, name in runs.names.items()},
        {role: content_digest(path) for role, path in runs.predict.items()},
    )


def _check_sections(champion: Mapping[str, Any], runs: ChampionRuns) -> Iterator[Check]:
    """What was frozen against what the runs say when they are asked again."""
    try:
        again = describe_champion(runs)
    except (KeyError, CodewardenError) as error:
        yield Check("description by the runs", _said(error))
        return
    for name in sorted((again.keys() | champion.keys()) - {OPENINGS, "name"}):
        yield _compared(f"{name} as the runs say", champion.get(name), again.get(name))


def _check_selection(runs: ChampionRuns) -> Iterator[Check]:
    """F1 of every ranked trial from its own predictions, means, and median seeds."""
    from models.evaluation.metrics import metrics_at
    from models.evaluation.records import read_probabilities, read_split

    def require(entry: Mapping[str, Any]) -> None:
        found = {}
        for seed, label in entry["trials"].items():
            scores = read_probabilities(runs.train[label] / VALID_PREDICTIONS, valid)
            found[seed] = metrics_at(valid.labels, scores, entry["thresholds"][seed])["f1"]
        _require_close("F1 by seed", entry["f1_by_seed"], found)
        _require_close("mean F1", {"f1": entry["f1"]["value"]}, {"f1": statistics.fmean(found.values())})
        median = found[str(entry["median_seed"])]
        if not statistics.median_low(found.values()) <= median <= statistics.median_high(found.values()):
            raise ObjectCorrupt(RANKING_FILE, f"the median seed of {found}", str(entry["median_seed"]))

    try:
        valid = read_split(runs.data / "valid.jsonl")
    except CodewardenError as error:
        yield Check("validation records", _said(error))
        return
    for entry in runs.ranking["configurations"]:
        yield _tried(f"F1 and median seed of {entry['configuration']} from predictions", require, entry)


def _check_metrics(champion: Mapping[str, Any], runs: ChampionRuns) -> Iterator[Check]:
    """Metrics of champion and runner-up on every set, from the predictions of each record."""
    from models.evaluation.record_sets import set_of, sets_of_test
    from models.evaluation.records import read_split

    def require(role: str, measured: Mapping[str, Any], file: str, every: SplitRecords, part: SplitRecords) -> None:
        system = measured["systems"][runs.names[role]]
        found = _metrics_of(runs.predict[role] / file, every, part, system["threshold"])
        told = {name: metric["value"] for name, metric in system["metrics"].items()}
        _require_close("metrics", told, found)

    try:
        valid = read_split(runs.data / "valid.jsonl")
        asked = [("validation", champion["validation"], VALID_PREDICTIONS, valid, valid)]
        if champion["test"]:
            test = read_split(runs.data / "test.jsonl")
            parts = {set_of(split): part for split, part in sets_of_test(test).items()}
            asked += [
                (f"test {name}", measured, TEST_PREDICTIONS, test, parts[name])
                for name, measured in champion["test"].items()
            ]
    except (KeyError, CodewardenError) as error:
        yield Check("records of validation and test", _said(error))
        return
    for role in runs.predict:
        for title, measured, file, every, part in asked:
            yield _tried(f"metrics of {role} on {title} from predictions", require, role, measured, file, every, part)


def _metrics_of(path: Path, every: SplitRecords, part: SplitRecords, threshold: float) -> dict[str, float]:
    """Metrics on some of the records that were predicted."""
    from models.evaluation.metrics import metrics_at
    from models.evaluation.records import read_probabilities

    scores = read_probabilities(path, every)
    row_of = {record_id: row for row, record_id in enumerate(every.ids)}
    return metrics_at(part.labels, scores[[row_of[record_id] for record_id in part.ids]], threshold)


def _require_source(champion: Mapping[str, Any], runs_path: Path) -> None:
    """The ranking of stage 3 that the threshold came from is there, and says it."""
    threshold = champion["threshold"]
    source = threshold["source"]
    pattern = f"*-{source['run_key'][:RUN_KEY_DIGITS]}/*/{RANKING_FILE}"
    for path in sorted((runs_path / "rank").glob(pattern)):
        if digest_file(path).sha256 != source["ranking_sha256"]:
            continue
        entries = {entry["configuration"]: entry for entry in read_json(path)["configurations"]}
        thresholds = entries[source["configuration"]]["thresholds"].values()
        if threshold["value"] not in thresholds:
            told = ", ".join(map(str, thresholds))
            raise ObjectCorrupt(str(path), f"threshold {threshold['value']} of {source['configuration']}", told)
        return
    raise ObjectMissing(f"{runs_path / 'rank' / pattern} of sha256 {source['ranking_sha256']}")


def _require_openings(champion: Mapping[str, Any], runs: ChampionRuns, runs_path: Path) -> None:
    """Later openings are no fault of the champion; one that the log lost is."""
    logged = openings_so_far(runs_path, runs)
    lost = [opening for opening in champion[OPENINGS] if opening not in logged]
    if lost:
        raise ObjectMissing(f"opening of the test set by run {lost[0]['run_key'][:RUN_KEY_DIGITS]} in the log")


def _require_close(what: str, told: Mapping[str, float | None], found: Mapping[str, float]) -> None:
    """Equal up to how metrics are rounded; an undefined one is told as null and found as NaN."""
    for name in sorted(told.keys() | found.keys()):
        expected, actual = told.get(name), found.get(name)
        both_undefined = expected is None and actual is not None and actual != actual
        if both_undefined:
            continue
        if expected is None or actual is None or not abs(expected - actual) <= ROUNDING:
            raise ObjectCorrupt(f"{what} ({name})", str(expected), str(actual))


def _paths_of(runs: ChampionRuns) -> dict[str, Path]:
    return {
        "data": runs.data,
        **{f"train {label}": path for label, path in runs.train.items()},
        "rank": runs.rank,
        **{f"predict {role}": path for role, path in runs.predict.items()},
        "evaluate": runs.evaluate,
    }


def _deciding(run_path: Path) -> dict[str, Any]:
    decides: dict[str, Any] = read_json(run_path / QUESTION_FILE)["deciding"]
    return decides


def _compared(name: str, told: Any, found: Any) -> Check:
    return Check(name, None if told == found else _difference(told, found))


def _difference(told: Any, found: Any) -> str:
    """The first place in which two JSON values differ."""
    if isinstance(told, Mapping) and isinstance(found, Mapping):
        for name in sorted(told.keys() | found.keys()):
            if told.get(name) != found.get(name):
                return f"{name}: {_difference(told.get(name), found.get(name))}"
    if isinstance(told, list) and isinstance(found, list) and len(told) == len(found):
        for number, (left, right) in enumerate(zip(told, found, strict=True)):
            if left != right:
                return f"[{number}] {_difference(left, right)}"
    return f"frozen {str(told)[:80]}, found {str(found)[:80]}"


def _tried(name: str, require: Callable[..., None], *arguments: Any) -> Check:
    try:
        require(*arguments)
    except (KeyError, CodewardenError) as error:
        return Check(name, _said(error))
    return Check(name)


def _said(error: Exception) -> str:
    return f"no {error} in it" if isinstance(error, KeyError) else str(error)
