"""Thresholds that an earlier ranking settled, by configuration; nothing here sees a label or a score.

What a frozen decision needs is read from the finished rank run, checked against its manifest. No module that chooses a
threshold is imported here, so that whoever decides by this one cannot tune.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import DataInvalid, ObjectCorrupt, ObjectMissing
from models.settings.selection import RANKING_FILE
from models.store.manifest import digest_file, read_manifest, verify_manifest

SEED_RULE = "a configuration's threshold is that of the trial of its median seed"
MATCH_RULE = (
    "the threshold of the same configuration; where the ranking has none, that of the best ranked configuration of the "
    "same model; else that of the configuration that came first"
)

FALLBACKS = ("model", "first")


@dataclass(frozen=True)
class FrozenSource:
    """Where a frozen threshold comes from.

    Args:
        threshold: The threshold.
        stage: The stage whose ranking settled it.
        configuration: The configuration it was settled for.
        matched_by: ``configuration``, ``model``, ``first`` or ``baseline``.
        run_key: Key of the rank run.
        ranking_sha256: Digest of its ranking.json.
        alternative: Of that configuration, the threshold that keeps its least recall, as ranking.json tells it.
    """

    threshold: float
    stage: str
    configuration: str
    matched_by: str
    run_key: str
    ranking_sha256: str
    alternative: Mapping[str, Any]

    @property
    def is_fallback(self) -> bool:
        """Whether it was settled for another configuration than the one it is used for."""
        return self.matched_by in FALLBACKS

    def to_json(self) -> dict[str, Any]:
        """The source beside its threshold."""
        return {
            "stage": self.stage,
            "configuration": self.configuration,
            "matched_by": self.matched_by,
            "run_key": self.run_key,
            "ranking_sha256": self.ranking_sha256,
        }


class FrozenRanking:
    """The finished ranking of an earlier stage, verified.

    Args:
        run_path: Directory of the rank run.

    Raises:
        DataInvalid: It is no finished rank run, or not as it was written. Not retried.
    """

    def __init__(self, run_path: Path) -> None:
        try:
            manifest = read_manifest(run_path)
            verify_manifest(run_path)
        except ObjectMissing as error:
            raise DataInvalid(run_path, f"not a finished run ({error}); give a finished rank run") from error
        except ObjectCorrupt as error:
            raise DataInvalid(run_path, f"not as it was written ({error}); rank again") from error
        if manifest is None or manifest.kind != "rank" or RANKING_FILE not in manifest.files:
            kind = "nothing" if manifest is None else manifest.kind
            raise DataInvalid(run_path, f"a run of kind {kind}; thresholds are frozen by a rank run")
        self.path = run_path / RANKING_FILE
        self.run_key = manifest.run_key
        self.sha256 = digest_file(self.path).sha256
        self._ranking: dict[str, Any] = json.loads(self.path.read_bytes())
        self._configurations: dict[str, dict[str, Any]] = {
            entry["configuration"]: entry for entry in self._ranking["configurations"]
        }

    @property
    def stage(self) -> str:
        """The stage that it ranked for."""
        return str(self._ranking["stage"])

    def of_trial(self, configuration: str, model: str) -> FrozenSource:
        """The threshold for a trial, by ``MATCH_RULE``.

        Raises:
            DataInvalid: The ranking knows neither configuration nor model, and nobody came first in it. Not retried.
        """
        if configuration in self._configurations:
            return self._source(configuration, "configuration")
        return self._of_model(model)

    def of_baseline(self, name: str) -> FrozenSource:
        """The threshold of a baseline.

        Raises:
            DataInvalid: The ranking has no such baseline. Not retried.
        """
        baselines: Mapping[str, Any] = self._ranking["baselines"]
        if name not in baselines:
            known = ", ".join(baselines)
            raise DataInvalid(
                self.path, f"no threshold of the baseline {name!r} (only {known}); rank on records of one kind"
            )
        return self._made(float(baselines[name]["threshold"]), name, "baseline", {})

    def _of_model(self, model: str) -> FrozenSource:
        best_first: Sequence[dict[str, Any]] = self._ranking["configurations"]
        for entry in best_first:
            if entry["model"] == model:
                return self._source(entry["configuration"], "model")
        if self._ranking["first"] is None:
            raise DataInvalid(self.path, f"no threshold for {model}: nobody came first; run {self.stage} on this model")
        return self._source(str(self._ranking["first"]), "first")

    def _source(self, configuration: str, matched_by: str) -> FrozenSource:
        entry = self._configurations[configuration]
        threshold = entry["thresholds"][str(entry["median_seed"])]
        return self._made(float(threshold), configuration, matched_by, entry["false_positive_reduction_at_recall"])

    def _made(
        self, threshold: float, configuration: str, matched_by: str, alternative: Mapping[str, Any]
    ) -> FrozenSource:
        return FrozenSource(
            threshold, self.stage, configuration, matched_by, self.run_key, self.sha256, dict(alternative)
        )
