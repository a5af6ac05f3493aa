"""The runs that a champion rests on, and how they are found: by what settings recorded, or by key under a run root.

What is frozen of them is in ``champion_manifest``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import DataInvalid, NoClearWinner, ObjectMissing, SettingsInvalid
from models.jobs.contract import SETTINGS_FILE
from models.settings.selection import RANKING_FILE
from models.store.manifest import MANIFEST_FILE
from models.store.run_identity import RunIdentity, find_run, identity_of
from tasks.finished_runs import finished_runs, started_seconds, under_root

CHAMPION_STAGE = "stage4"
"""Stage whose ranking a champion is taken from; the name of a variant begins so."""
EVALUATION_FILE = "evaluation.json"
FROZEN = "frozen"
"""Kind of the decision by which thresholds come from a ranking."""
CHAMPION, RUNNER_UP = "champion", "runner_up"
JOB_ROLES = ("rank", "evaluate", "data")


@dataclass(frozen=True)
class ChampionRuns:
    """Directories of the runs that a champion rests on, and who is who among them.

    Args:
        rank: The ranking that chose it.
        evaluate: The evaluation that measured it beside runner-up and baselines.
        data: The records that it was trained, chosen and measured on.
        train: Training run of each ranked trial, by its label.
        predict: Predictions of champion and, where there is one, runner-up, by role.
        names: Name of either in the tables of the evaluation, by role.
        ranking: Content of ``ranking.json``.
        evaluation: Content of ``evaluation.json``.
    """

    rank: Path
    evaluate: Path
    data: Path
    train: Mapping[str, Path]
    predict: Mapping[str, Path]
    names: Mapping[str, str]
    ranking: Mapping[str, Any]
    evaluation: Mapping[str, Any]

    @property
    def trials(self) -> dict[str, str]:
        """Label of champion and runner-up by role: the trials of their configurations' median seeds."""
        return finalists(self.ranking)

    def identities(self) -> dict[str, Any]:
        """What names all of them, without saying where they lie."""
        alone = {role: identity_of(getattr(self, role)) for role in JOB_ROLES}
        several = {
            kind: {name: identity_of(path) for name, path in sorted(paths.items())}
            for kind, paths in (("train", self.train), ("predict", self.predict))
        }
        return {**alone, **several}


def finalists(ranking: Mapping[str, Any]) -> dict[str, str]:
    """Label of the champion's and, where there is one, the runner-up's trial in a ranking, by role.

    Raises:
        NoClearWinner: Nobody came first in it. Not retried.
    """
    if ranking["first"] is None:
        raise NoClearWinner(ranking["stage"], ranking["best_set"]["configurations"], confidence=ranking["confidence"])
    entries = {entry["configuration"]: entry for entry in ranking["configurations"]}
    chosen = {CHAMPION: ranking["first"], RUNNER_UP: ranking["runner_up"]}
    return {
        role: str(entries[name]["trials"][str(entries[name]["median_seed"])])
        for role, name in chosen.items()
        if name is not None
    }


def newest_ranking(runs_path: Path) -> Path:
    """The stage 4 ranking that was finished last under a run root.

    Raises:
        SettingsInvalid: There is none; says how to get one. Not retried.
    """
    found = [path for path in finished_runs(runs_path, "rank") if _is_of_stage(path)]
    if not found:
        raise SettingsInvalid(
            f"runs: no finished ranking of stage 4 under {runs_path}; run stage 4 (python -m flows.stage4), or give "
            "its directory with --ranking"
        )
    return max(found, key=started_seconds)


def newest_evaluation(runs_path: Path, ranking_path: Path) -> Path:
    """The final measurement of a ranking; of several one that opened the test, then the newest.

    Raises:
        SettingsInvalid: There is none; says how to get one. Not retried.
        DataInvalid: A ranked training run is not there. Not retried.
    """
    trials = finalists(read_json(ranking_path / RANKING_FILE))
    found = [
        path
        for path in finished_runs(runs_path, "evaluate")
        if why_no_final_measurement(runs_path, path, ranking_path) is None
    ]
    if not found:
        raise SettingsInvalid(
            f"runs: {' and '.join(trials.values())} of {ranking_path} {'were' if len(trials) > 1 else 'was'} not "
            "evaluated together at the thresholds frozen by it; run stage 4 to its end, or give the directory of that "
            "evaluation with --evaluation"
        )
    return max(found, key=lambda path: (read_json(path / EVALUATION_FILE)["test_opened"], started_seconds(path)))


def why_no_final_measurement(runs_path: Path, evaluate_path: Path, ranking_path: Path) -> str | None:
    """What is wrong where an evaluation is not the one that measured exactly the finalists of a ranking, frozen by it.

    Args:
        runs_path: The run root.
        evaluate_path: Directory of the finished evaluate run.
        ranking_path: Directory of the finished ranking of stage 4.

    Returns:
        ``None`` where it is: looking at trials in any other way is no final measurement of them.

    Raises:
        DataInvalid: A ranked training run is not there. Not retried.
        NoClearWinner: Nobody came first in the ranking. Not retried.
    """
    frozen_by = _frozen_by(runs_path, evaluate_path)
    if frozen_by is None or identity_of(frozen_by) != identity_of(ranking_path):
        return f"its thresholds were not frozen by {ranking_path}"
    trials = finalists(read_json(ranking_path / RANKING_FILE))
    roles = _roles(runs_path, evaluate_path, _trained(runs_path, ranking_path, trials))
    if missing := [trials[role] for role in trials if role not in roles]:
        return f"{' and '.join(missing)} {'were' if len(missing) > 1 else 'was'} not evaluated"
    others = read_json(evaluate_path / SETTINGS_FILE)["predictions"].keys() - {name for name, _ in roles.values()}
    return f"it measured others too ({', '.join(sorted(others))})" if others else None


def is_final_measurement(runs_path: Path, evaluate_path: Path) -> bool:
    """Whether an evaluation is that of the finalists of a ranking of stage 4, as stage 4 itself makes it.

    Raises:
        DataInvalid: A ranked training run is not there. Not retried.
    """
    ranking_path = _frozen_by(runs_path, evaluate_path)
    if ranking_path is None or not _is_of_stage(ranking_path):
        return False
    if read_json(ranking_path / RANKING_FILE)["first"] is None:
        return False
    return why_no_final_measurement(runs_path, evaluate_path, ranking_path) is None


def _frozen_by(runs_path: Path, evaluate_path: Path) -> Path | None:
    """The ranking that froze the thresholds of an evaluation; ``None`` where they are others, or it is gone."""
    decision = read_json(evaluate_path / SETTINGS_FILE).get("decision", {})
    if decision.get("kind") != FROZEN:
        return None
    ranking_path = under_root(runs_path, decision["ranking"])
    return ranking_path if (ranking_path / MANIFEST_FILE).is_file() else None


def gather(runs_path: Path, ranking_path: Path, evaluation_path: Path) -> ChampionRuns:
    """All runs that the champion of a finished ranking rests on.

    Args:
        runs_path: The run root, where runs are looked for that are not where settings recorded them.
        ranking_path: Directory of the finished rank run.
        evaluation_path: Directory of the finished evaluate run.

    Raises:
        DataInvalid: One of them is missing, not finished, or belongs to other runs; says which. Not retried.
    """
    ranking = read_json(ranking_path / RANKING_FILE)
    if (why := why_no_final_measurement(runs_path, evaluation_path, ranking_path)) is not None:
        raise DataInvalid(
            evaluation_path, f"{why}; a champion is frozen from the evaluation of champion and runner-up by stage 4"
        )
    roles = _roles(runs_path, evaluation_path, _trained(runs_path, ranking_path, finalists(ranking)))
    predict = {role: path for role, (_, path) in roles.items()}
    data_path = under_root(runs_path, read_json(predict[CHAMPION] / SETTINGS_FILE)["data"])
    if not (data_path / MANIFEST_FILE).is_file():
        raise DataInvalid(
            data_path, "no finished run; a champion is frozen with the digests of the job that made its data"
        )
    recorded = read_json(ranking_path / SETTINGS_FILE)["trials"]
    return ChampionRuns(
        rank=ranking_path,
        evaluate=evaluation_path,
        data=data_path,
        train={label: under_root(runs_path, trial["run"]) for label, trial in recorded.items()},
        predict=predict,
        names={role: name for role, (name, _) in roles.items()},
        ranking=ranking,
        evaluation=read_json(evaluation_path / EVALUATION_FILE),
    )


def find_again(runs_path: Path, identities: Mapping[str, Any], names: Mapping[str, str]) -> ChampionRuns:
    """The runs that a frozen champion names, found by key.

    Args:
        runs_path: The run root, wherever it lies now.
        identities: As ``ChampionRuns.identities`` gave them, from JSON.
        names: Name of champion and runner-up in the evaluation, by role.

    Raises:
        ObjectMissing: One is not there. Not retried.
        ObjectCorrupt: One is not the one that is named. Not retried.
    """

    def find(body: Mapping[str, Any]) -> Path:
        return find_run(runs_path, RunIdentity.from_body("champion.json", body))

    paths = {role: find(identities[role]) for role in JOB_ROLES}
    return ChampionRuns(
        **paths,
        train={label: find(body) for label, body in identities["train"].items()},
        predict={role: find(body) for role, body in identities["predict"].items()},
        names=names,
        ranking=read_json(paths["rank"] / RANKING_FILE),
        evaluation=read_json(paths["evaluate"] / EVALUATION_FILE),
    )


def read_json(path: Path) -> Any:
    """A JSON file of a run.

    Raises:
        DataInvalid: There is none. Not retried.
    """
    if not path.is_file():
        raise DataInvalid(path, "no such file; give the directory of a finished run")
    return json.loads(path.read_bytes())


def _roles(runs_path: Path, evaluate_path: Path, trained: Mapping[str, RunIdentity]) -> dict[str, tuple[str, Path]]:
    """Name in the tables and predict run of those finalists that an evaluation measured, by role."""
    found: dict[str, tuple[str, Path]] = {}
    for name, recorded in read_json(evaluate_path / SETTINGS_FILE)["predictions"].items():
        predict_path = under_root(runs_path, recorded)
        settings = predict_path / SETTINGS_FILE
        model_run = read_json(settings).get("model_run") if settings.is_file() else None
        if model_run is None or not (train_path := under_root(runs_path, model_run)).is_dir():
            continue
        identity = identity_of(train_path)
        found |= {role: (name, predict_path) for role, wanted in trained.items() if identity == wanted}
    return found


def _trained(runs_path: Path, ranking_path: Path, trials: Mapping[str, str]) -> dict[str, RunIdentity]:
    """Training runs of champion and runner-up, by role."""
    recorded = read_json(ranking_path / SETTINGS_FILE)["trials"]
    try:
        return {role: identity_of(under_root(runs_path, recorded[label]["run"])) for role, label in trials.items()}
    except ObjectMissing as error:
        raise DataInvalid(ranking_path, f"a ranked training run is not there or not finished ({error})") from error


def _is_of_stage(rank_path: Path) -> bool:
    return str(read_json(rank_path / RANKING_FILE)["stage"]).startswith(CHAMPION_STAGE)
