"""The ``preprocess`` job: raw functions to records with tokens, offsets and syntax graphs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from models.settings.fields import INCIDENTAL, InputPath
from models.settings.tokenizing import Tokenizing

TrimmingStrategy = Literal["window", "head", "head_tail", "whole"]

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class RecordMaking(Tokenizing):
    """How a function becomes a record, whatever folder it comes from."""

    collapse_whitespace: bool = True
    """Tokenise with runs of whitespace as one blank; offsets still index the raw code, and the parser sees raw code."""
    trimming: TrimmingStrategy = "window"
    """What is kept of a function longer than max_seq_len: what is around vulnerable API calls (its head where it has
    none), its head, its head and tail in equal parts (the head takes the odd token), or all of it. With whole,
    max_seq_len cuts nothing and only says what counts as long; a transformer then reads such records in windows."""
    max_nodes: PositiveInt = 2000
    """Largest syntax graph kept; later nodes in preorder are cut and counted [nodes]."""
    max_code_bytes: PositiveInt = 1_000_000
    """Functions longer than this are rejected [bytes]."""
    max_rejected_fraction: Fraction = 0.05
    """More rejected rows than this share of a file end the job."""
    min_ast_success: Fraction = 0.8
    """Below this share of clean parses the job warns."""
    near_duplicate_similarity: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7
    """Estimated Jaccard similarity from which two functions count as near duplicates."""
    gpu_memory_gib: Annotated[float, Field(gt=0)] = 16.0
    """Memory the recommended batch size must fit into [GiB]; 16 is a T4."""
    quick_test: bool = False
    """Only the first 100 usable records of each split (recorded)."""
    num_workers: Annotated[NonNegativeInt, INCIDENTAL] = 0
    """Worker processes; 0: one per core [processes]."""


class PreprocessSettings(RecordMaking):
    """Turn a folder of raw functions into records, one file per split."""

    kind: Literal["preprocess"] = "preprocess"
    data: InputPath
    """Folder with train, valid and test as .jsonl or .jsonl.gz (fields func, target, project, commit_id, idx)."""
    source: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")] = "codexglue"
    """Name written into each record's metadata and, in capitals, into its id."""
    splits: Literal["given", "by_group"] = "given"
    """Rows of one commit (or cluster of near copies, where none is known): left in the splits they come in and warned
    about, or kept by the last of train, valid and test that has any, and dropped from the others."""
