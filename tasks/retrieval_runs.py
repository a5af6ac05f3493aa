"""The finished runs of a flow of retrieval, by what they are for."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.jobs import RunReference
from tasks.retrieval_settings import RerankerName


@dataclass(frozen=True)
class EncoderRuns:
    """The finished runs of the encoder.

    Args:
        balance: Functions, balanced and paired.
        pairs: The same as tokens.
        train: The encoder, that which learned from hard negatives where it was trained twice.
        embed: Vectors, of sealed texts too where they were opened.
        retrieve: How well each system finds texts.
    """

    balance: RunReference
    pairs: RunReference
    train: RunReference
    embed: RunReference
    retrieve: RunReference


@dataclass(frozen=True)
class RerankerRuns:
    """The finished runs of rerankers.

    Args:
        mine: The lists that they learnt from.
        train: By name, then seed.
        judge: ``None``: the test stayed sealed, and validation chose them.
    """

    mine: RunReference
    train: dict[RerankerName, dict[int, RunReference]]
    judge: RunReference | None


@dataclass(frozen=True)
class PatchRuns:
    """The finished runs of patch ranking.

    Args:
        candidates: Patches as lists.
        train: Rankers by the project that was left out, then seed.
        judge: All projects that were left out.
        not_left_out: Projects of which nothing can be judged; their bugs teach the rankers of all others.
    """

    candidates: RunReference
    train: dict[str, dict[int, RunReference]]
    judge: RunReference
    not_left_out: tuple[str, ...]


@dataclass(frozen=True)
class RetrievalRuns:
    """All that a flow of retrieval ran; ``None``: not a part of it."""

    encoder: EncoderRuns | None = None
    rerankers: RerankerRuns | None = None
    patches: PatchRuns | None = None
