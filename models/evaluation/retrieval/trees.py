"""Gradient-boosted trees over the features of candidates (LightGBM, lambdarank): the baseline of patch ranking.

Source:
    Burges 2010, from RankNet to LambdaRank to LambdaMART; Ke et al. 2017, LightGBM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.data.retrieval.candidate_lists import CandidateList
from models.evaluation.retrieval.judged_orders import Orders, values_of
from models.settings.retrieval import BoostSettings

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Trees:
    """Trained trees.

    Args:
        booster: Of LightGBM.
        num_trees: Up to the best on validation.
        valid_mrr: There, ties against it.
    """

    booster: Any
    num_trees: int
    valid_mrr: float

    def scores(self, entry: CandidateList) -> list[float]:
        """Of each candidate; higher is better."""
        predicted = self.booster.predict(np.array(entry.features), num_iteration=self.num_trees, num_threads=1)
        return [float(value) for value in predicted]

    def text(self) -> str:
        """The model as plain text, as LightGBM reads it again."""
        return str(self.booster.model_to_string(num_iteration=self.num_trees))


def train_trees(settings: BoostSettings, train: Sequence[CandidateList], valid: Sequence[CandidateList]) -> Trees:
    """Trees learnt from lists with both labels, as many as give the best MRR on validation.

    Args:
        settings: "
        train: With both labels each.
        valid: With both labels each.
    """
    import lightgbm

    learnt, chosen_by = _dataset(train), _dataset(valid)
    orders = Orders(valid)

    def mrr(predicted: Floats, _: Any) -> tuple[str, float, bool]:
        return "mrr", float(values_of(orders, predicted, (1,), is_pessimistic=True)["mrr"].mean()), True

    booster = lightgbm.train(
        _parameters(settings),
        learnt,
        num_boost_round=settings.num_trees,
        valid_sets=[chosen_by],
        feval=mrr,
        callbacks=[lightgbm.early_stopping(settings.early_stopping_rounds, verbose=False)],
    )
    return Trees(booster, booster.best_iteration, float(booster.best_score["valid_0"]["mrr"]))


def _parameters(settings: BoostSettings) -> dict[str, Any]:
    return {
        "objective": "lambdarank",
        "metric": "None",  # MRR is computed here, with ties against it
        "num_leaves": settings.num_leaves,
        "learning_rate": settings.learning_rate,
        "seed": settings.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }


def _dataset(lists: Sequence[CandidateList]) -> Any:
    import lightgbm

    features = np.array([row for entry in lists for row in entry.features], dtype=np.float64)
    labels = np.array([label for entry in lists for label in entry.relevant], dtype=np.float64)
    return lightgbm.Dataset(features, labels, group=[len(entry.candidates) for entry in lists], free_raw_data=False)
