"""The champion: chosen by a ranking of stage 4, frozen with all its digests, verified offline.

    python -m tasks.champion --select-only             who is chosen, and why; changes nothing
    python -m tasks.champion --freeze-only             freeze the champion of a finished stage 4
    python -m tasks.champion verify PATH [--retrain]   compute every digest and metric again, and compare

How a champion is chosen is in ``models.evaluation.ranking_job``; what is frozen of it in ``champion_manifest``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import model_validator

from models.errors import ChampionRefuted, DataInvalid, ObjectCorrupt, SettingsInvalid
from models.settings.command_line import parse_settings
from models.settings.fields import INCIDENTAL, Settings
from models.settings.selection import RANKING_FILE
from models.store.filesystem import LocalFilesystem, make_folder_durably, write_synced
from models.store.manifest import digest_bytes, verify_manifest
from models.store.objects import ObjectStore
from models.store.pointers import PointerTarget, champion_pointer, local_pointers, move_pointer
from models.store.run_identity import identity_of
from models.store.sealed import seal, unseal
from tasks.aws.settings import S3Location, SageMakerSettings
from tasks.champion_checks import Check, check_champion
from tasks.champion_manifest import (
    CHAMPION_FILE,
    CHAMPIONS_FOLDER,
    OPENINGS,
    choice_in,
    describe_champion,
    openings_so_far,
)
from tasks.champion_retraining import retrain
from tasks.champion_runs import CHAMPION, finalists, gather, newest_evaluation, newest_ranking, read_json
from tasks.leaderboard import leaderboard_text
from tasks.pointer_store import pointers_of
from tasks.program import run_program

VERIFY = "verify"
ENVIRONMENT = {"CODEWARDEN_RUNS": "runs", "CODEWARDEN_STORE": "store"}
"""The only variables that are read, and not by verify: there the path says which run root."""


class ChampionSettings(Settings):
    """Show who is champion of a ranking of stage 4, and freeze it.

    To check a frozen one: python -m tasks.champion verify PATH.
    """

    select_only: bool = False
    """Show candidates, median seeds, who cannot be told apart and who is first; change nothing."""
    freeze_only: bool = False
    """Freeze without the table."""
    ranking: Path | None = None
    """Directory of the ranking; empty: that of stage 4 which was made last under the run root."""
    evaluation: Path | None = None
    """Directory of the evaluation of champion and runner-up; empty: the one under the run root."""
    runs: Annotated[Path, INCIDENTAL] = Path("runs")
    """The run root."""
    store: Annotated[S3Location | None, INCIDENTAL] = None
    """Where pointers are kept, such as s3://bucket/codewarden; empty: under the run root."""

    @model_validator(mode="after")
    def _one_of_both(self) -> ChampionSettings:
        if self.select_only and self.freeze_only:
            raise ValueError("select_only and freeze_only exclude each other; give neither to see and freeze")
        return self


class VerifySettings(Settings):
    """Compute every digest and metric of a frozen champion again, offline, and compare."""

    path: Path
    """champion.json."""
    retrain: bool = False
    """Also train it again, in a temporary run root, and compare the weights byte for byte."""
    runs: Annotated[Path | None, INCIDENTAL] = None
    """The run root that holds its runs; empty: the one that PATH lies in."""


@dataclass(frozen=True)
class FrozenChampion:
    """A champion that was frozen.

    Args:
        name: ``<model>-<key>``.
        path: Its ``champion.json``.
        sha256: Digest of that file.
        trial: Label of the trial.
        pointer: Name of the pointer to its training run.
    """

    name: str
    path: Path
    sha256: str
    trial: str
    pointer: str


def freeze_champion(
    runs_path: Path, *, ranking: Path, evaluation: Path, pointers: ObjectStore | None = None
) -> FrozenChampion:
    """Write ``champion.json`` of a ranking's champion and let ``<model>_champion_latest`` name it.

    The same runs give the same bytes. What was frozen stays as it is, whatever is opened later.

    Args:
        runs_path: The run root.
        ranking: Directory of the finished rank run of stage 4.
        evaluation: Directory of the finished evaluate run of champion and runner-up.
        pointers: Where pointers are kept; ``None``: under the run root.

    Raises:
        DataInvalid: Something is missing or belongs to other runs; says what. Not retried.
        ObjectMissing: A file of these runs is gone. Not retried.
        ObjectCorrupt: A file of these runs, or what was frozen of them before, is not as it was written. Not retried.
        StoreUnavailable: The disk refuses. Retried.
    """
    runs = gather(runs_path, ranking, evaluation)
    train_path = runs.train[runs.trials[CHAMPION]]
    for path in (runs.data, train_path, runs.rank, *runs.predict.values(), runs.evaluate):
        verify_manifest(path)
    described = describe_champion(runs)
    path = runs_path / CHAMPIONS_FOLDER / described["name"] / CHAMPION_FILE
    content = _frozen_before(path, described)
    if content is None:
        content = seal({**described, OPENINGS: openings_so_far(runs_path, runs)})
        _write_durably(path, content)
    sha256 = digest_bytes(content).sha256
    pointer = champion_pointer(described["model"])
    facts = {name: described[name] for name in ("name", "configuration", "trial", "seed")}
    facts |= {"threshold": described["threshold"]["value"], "champion_sha256": sha256}
    move_pointer(pointers or local_pointers(runs_path), pointer, PointerTarget(identity_of(train_path), facts))
    return FrozenChampion(described["name"], path, sha256, described["trial"], pointer)


def verify_champion(settings: VerifySettings) -> Iterator[Check]:
    """All checks of a frozen champion, one after the other.

    Raises:
        DataInvalid: There is no such file. Not retried.
        ObjectCorrupt: The file is not as it was sealed: nothing it says can be believed. Not retried.
    """
    path = settings.path / CHAMPION_FILE if settings.path.is_dir() else settings.path
    if not path.is_file():
        raise DataInvalid(path, f"no such file; give {CHAMPIONS_FOLDER}/NAME/{CHAMPION_FILE} of a run root")
    champion = unseal(str(path), path.read_bytes())
    yield Check(f"seal of {path}")
    runs_path = settings.runs.resolve() if settings.runs is not None else _root_of(path)
    yield from check_champion(champion, runs_path)
    if settings.retrain:
        with tempfile.TemporaryDirectory(prefix="codewarden-retrain-") as folder:
            yield from retrain(champion, runs_path, Path(folder))


def selection_text(ranking: Mapping[str, Any]) -> str:
    """Who is chosen by a ranking, and why: its table, then the champion."""
    told_apart = ranking["best_set"]
    lines = [
        leaderboard_text(ranking),
        "",
        f"Cannot be told apart from the best: {', '.join(told_apart['configurations'])}"
        + (" (a clear winner)." if told_apart["clear_winner"] else "."),
        *_chosen(ranking),
    ]
    return "\n".join(lines) + "\n"


def _chosen(ranking: Mapping[str, Any]) -> Iterator[str]:
    if ranking["first"] is None:
        yield "Champion: nobody, as there is no clear winner and the settings say to stop then."
        return
    entry = next(e for e in ranking["configurations"] if e["configuration"] == ranking["first"])
    seeds = ", ".join(f"{seed}: {value:.3f}" for seed, value in entry["f1_by_seed"].items())
    yield f"Seeds of {ranking['first']}: {seeds}; the median is {entry['median_seed']}."
    yield f"Champion: {finalists(ranking)[CHAMPION]} at threshold {entry['thresholds'][str(entry['median_seed'])]}."


def main(argv: Sequence[str] | None = None) -> int:
    """The program; gives the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == [VERIFY]:
        verifying = parse_settings(VerifySettings, _with_path(arguments[1:]), prog="python -m tasks.champion verify")
        return run_program(lambda: _verify(verifying))
    settings = parse_settings(ChampionSettings, arguments, prog="python -m tasks.champion", environment=ENVIRONMENT)
    return run_program(lambda: _select_and_freeze(settings))


def _select_and_freeze(settings: ChampionSettings) -> str:
    runs_path = settings.runs.resolve()
    ranking = settings.ranking.resolve() if settings.ranking is not None else newest_ranking(runs_path)
    ranking = ranking.parent if ranking.name == RANKING_FILE else ranking
    table = "" if settings.freeze_only else f"{selection_text(read_json(ranking / RANKING_FILE))}ranking: {ranking}\n"
    if settings.select_only:
        return table
    given = settings.evaluation
    evaluation = given.resolve() if given is not None else newest_evaluation(runs_path, ranking)
    pointers = pointers_of(runs_path, SageMakerSettings(store=settings.store))
    frozen = freeze_champion(runs_path, ranking=ranking, evaluation=evaluation, pointers=pointers)
    return f"{table}frozen: {frozen.trial} as {frozen.path}\nsha256 {frozen.sha256}\npointer {frozen.pointer}\n"


def _verify(settings: VerifySettings) -> str:
    """Tells each check as soon as it is made."""
    checks = []
    for check in verify_champion(settings):
        sys.stdout.write(f"{check}\n")
        sys.stdout.flush()
        checks.append(check)
    failed = [check.name for check in checks if check.problem is not None]
    if failed:
        raise ChampionRefuted(settings.path, failed, num_checks=len(checks))
    return f"all {len(checks)} checks hold\n"


def _root_of(champion_path: Path) -> Path:
    """The run root that a champion lies in.

    Raises:
        SettingsInvalid: It lies in none. Not retried.
    """
    folder = champion_path.resolve().parents[1]
    if folder.name != CHAMPIONS_FOLDER:
        raise SettingsInvalid(
            f"runs: {champion_path} is not {CHAMPIONS_FOLDER}/NAME/{CHAMPION_FILE} of a run root; give the one that "
            "holds its runs with --runs"
        )
    return folder.parent


def _with_path(arguments: list[str]) -> list[str]:
    """``verify PATH`` is ``verify --path PATH``."""
    return ["--path", *arguments] if arguments and not arguments[0].startswith("-") else arguments


def _frozen_before(path: Path, described: Mapping[str, Any]) -> bytes | None:
    """What was frozen of the same choice before, checked; ``None`` where nothing was.

    It stays, also where the same finalists were measured again: a champion is frozen once.

    Raises:
        DataInvalid: It was frozen with the test sealed, and now the test was opened. Not retried.
        ObjectCorrupt: It is damaged, or says something else. Not retried.
    """
    if not path.exists():
        return None
    content = path.read_bytes()
    before = unseal(str(path), content)
    before.pop(OPENINGS, None)
    is_other = before["runs"]["evaluate"] != described["runs"]["evaluate"]
    if (choice_in(before) != choice_in(described)) if is_other else (before != described):
        raise ObjectCorrupt(str(path), "what these runs say", "something else; move it away and freeze again")
    if described["test"] and not before["test"]:
        raise DataInvalid(
            path,
            "frozen while the test was sealed, and stays as it is; move it away and freeze again to have the test in "
            "it (python -m tasks.champion --freeze-only)",
        )
    return content


def _write_durably(path: Path, content: bytes) -> None:
    disk, folder = LocalFilesystem(), path.parent
    make_folder_durably(disk, folder)
    write_synced(disk, path, content, temp_folder=folder / ".partial")
    disk.sync_folder(folder)
    disk.remove_tree(folder / ".partial")


if __name__ == "__main__":
    sys.exit(main())
