"""What all rankers share: lists as records, the loss over whole lists, scores, and metrics of order."""

from __future__ import annotations

import abc
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from models.data.retrieval.candidate_lists import CandidateList, read_lists
from models.data.retrieval.texts import Texts
from models.errors import DataInvalid, SettingsInvalid
from models.losses.candidate_logistic import candidate_logistic
from models.losses.list_softmax import list_softmax
from models.settings.optimisation import WarmedUpOptimisation
from models.training.list_metrics import list_metrics
from models.training.order import Indices, cut_by_area
from models.training.ranked_lists import Candidates, RankedLists, flat_features, flat_relevant, padded, within_triples
from models.training.schedule import Schedule
from models.training.separable import SeparableLoss
from models.training.warmup import warmed_up


class Ranking(SeparableLoss[RankedLists]):
    """Scores candidates so that a list's relevant ones come first. A kind adds model, texts and ``candidate_scores``.

    Args:
        settings: Optimisation.
        budget: Largest cost of a micro-batch.
        num_features: Numbers beside each candidate, as in the lists that it learnt from.
        max_triples: Query, relevant and other candidate that are learnt from at most; ``None``: all.
        pointwise_share: Share of the loss that judges each candidate alone.
    """

    model: nn.Module
    notices: tuple[str, ...] = ()
    WEIGHTS_FILES: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        settings: WarmedUpOptimisation,
        *,
        budget: int,
        num_features: int,
        max_triples: int | None = None,
        pointwise_share: float = 0.0,
    ) -> None:
        self.settings = settings
        self.budget = budget
        self.num_features = num_features
        self._max_triples = max_triples
        self._pointwise_share = pointwise_share
        self._learnt_from: Path | None = None
        self._texts: Texts | None = None

    @abc.abstractmethod
    def open_texts(self, path: Path) -> Texts:
        """The texts that lists name, as the model reads them."""

    @abc.abstractmethod
    def candidate_sizes(self, query: Indices, text: Indices) -> Indices:
        """``(K,)``: what each candidate takes of a budget."""

    @abc.abstractmethod
    def candidate_scores(self, candidates: Candidates, numbers: Indices) -> Tensor:
        """``(len(numbers),)`` scores, with gradients.

        Args:
            candidates: All candidates of a file.
            numbers: Which of them, in any order.
        """

    @property
    def texts(self) -> Texts:
        """The texts that lists name.

        Raises:
            SettingsInvalid: They were not read: a job that knows of records only cannot score lists. Not retried.
        """
        if self._texts is None:
            raise SettingsInvalid("a ranker scores lists of candidates and needs their texts; give it to the score job")
        return self._texts

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    def read_texts(self, path: Path) -> None:
        """Have the texts at hand that the lists to come name.

        Raises:
            DataInvalid: They cannot be read, or are of another tokenizer. Not retried.
        """
        self._texts = self.open_texts(path)

    def learn_from(self, path: Path) -> None:
        """Take only so many lists of this file as ``max_triples`` allows."""
        self._learnt_from = path

    def load(self, path: Path, *, limit: int | None) -> RankedLists:
        """The lists at ``path``.

        Raises:
            DataInvalid: No list, one that names a text that is not there, or other features than the model knows. Not
                retried.
            SettingsInvalid: The first list has more triples than may be learnt from. Not retried.
        """
        lists = read_lists(path, limit=limit)
        if path == self._learnt_from:
            lists = within_triples(lists, self._max_triples)
        self._check_features(path, lists)
        text = self.texts.rows_of((name for entry in lists for name in entry.candidates), path)
        query = self._query_rows(path, lists)
        sizes = self.candidate_sizes(query, text)
        candidates = Candidates(query, text, flat_features(lists), flat_relevant(lists), sizes)
        return RankedLists(path, lists, candidates, np.arange(len(lists), dtype=np.int64))

    def resolve(self, settings: Any, examples: RankedLists, device: str) -> Any:  # noqa: ARG002
        """The settings: nothing in them depends on data or device."""
        return settings

    def schedule(self, optimizer: Optimizer, *, num_steps: int) -> Schedule:
        """As the settings say, over all steps there can be."""
        settings = self.settings
        return warmed_up(
            optimizer,
            settings.schedule,
            warmup_ratio=settings.warmup_ratio,
            warmup_steps=settings.warmup_steps,
            num_steps=num_steps,
        )

    def loss_sum(self, examples: RankedLists, records: Indices) -> Tensor:
        """Sum over lists of weight times loss."""
        numbers = examples.candidates_of(records)
        scores_K = self.candidate_scores(examples.candidates, numbers).float()
        there_LC = torch.from_numpy(examples.there(records)).to(self.device)
        relevant_K = torch.from_numpy(examples.candidates.relevant[numbers]).to(self.device, torch.float32)
        scores_LC, relevant_LC = padded(scores_K, there_LC), padded(relevant_K, there_LC)
        losses_L = (1.0 - self._pointwise_share) * list_softmax(scores_LC, relevant_LC, there_LC)
        if self._pointwise_share:
            losses_L = losses_L + self._pointwise_share * candidate_logistic(scores_LC, relevant_LC, there_LC)
        weights_L = torch.from_numpy(examples.weights[records]).to(self.device, torch.float32)
        return (losses_L * weights_L).sum()

    @torch.no_grad()
    def scores(self, examples: RankedLists, records: Indices, *, budget: int) -> Tensor:
        """``(len(records), C)``: a row for each list, filled up with 0 to the longest of all that were loaded.

        Without gradients lists may be divided: candidates are cut into micro-batches of those alike in size.
        """
        self.model.eval()
        numbers = examples.candidates_of(records)
        flat = torch.zeros(len(numbers))
        sizes = examples.candidates.sizes[numbers]
        for part in cut_by_area(np.arange(len(numbers)), sizes, np.ones_like(sizes), budget):
            flat[torch.from_numpy(part)] = self.candidate_scores(examples.candidates, numbers[part]).float().cpu()
        self.model.train()
        there = torch.from_numpy(examples.there(records))
        result = torch.zeros(len(records), examples.longest)
        result[:, : there.shape[1]] = padded(flat, there)
        return result

    def metrics(self, examples: RankedLists, scores: npt.NDArray[np.float32]) -> dict[str, float]:
        """Of the lists that hold both labels; MRR is what is selected on.

        Raises:
            DataInvalid: There is no such list. Not retried.
        """
        if not examples.is_mixed.any():
            raise DataInvalid(examples.path, "no list holds both right and wrong candidates; none can be ordered well")
        return list_metrics(examples, scores)

    def predictions(self, examples: RankedLists, scores: npt.NDArray[np.float32]) -> list[dict[str, Any]]:
        """Candidates, which of them are relevant, and their scores."""
        return [
            {
                "candidates": list(entry.candidates),
                "relevant": list(entry.relevant),
                "scores": [float(score) for score in row[: len(entry.candidates)]],
            }
            for entry, row in zip(examples.lists, scores, strict=True)
        ]

    def facts(self, examples: RankedLists) -> dict[str, Any]:
        """What the lists hold that are learnt from; a list of one label teaches no order."""
        relevant = [sum(entry.relevant) for entry in examples.lists]
        triples = [count * (len(e.relevant) - count) for count, e in zip(relevant, examples.lists, strict=True)]
        return {
            "num_candidates": int(examples.num_candidates.sum()),
            "num_relevant": sum(relevant),
            "num_triples": sum(triples),
            "num_one_label_lists": int((~examples.is_mixed).sum()),
            "num_features": self.num_features,
        }

    def _query_rows(self, path: Path, lists: list[CandidateList]) -> Indices:
        """Row of the query of each candidate; -1 where its list has none."""
        asked = [entry.query for entry in lists]
        rows = np.full(len(lists), -1, dtype=np.int64)
        (with_query,) = np.nonzero([query is not None for query in asked])
        rows[with_query] = self.texts.rows_of((query for query in asked if query is not None), path)
        return np.repeat(rows, [len(entry.candidates) for entry in lists])

    def _check_features(self, path: Path, lists: list[CandidateList]) -> None:
        found = len(lists[0].features[0])
        if found != self.num_features:
            raise DataInvalid(
                path,
                f"candidates have {found} features, and the model knows {self.num_features}; give lists of the run "
                "that it learnt from",
            )
