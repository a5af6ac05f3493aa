"""The ``findings`` job: findings of a static analyser on infrastructure code to records with tokens."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt

from models.settings.fields import InputPath
from models.settings.tokenizing import Tokenizing


class FindingsSettings(Tokenizing):
    """Turn findings (flagged line, its context, smell, technology, TP or FP) into records, one file per split."""

    kind: Literal["findings"] = "findings"
    data: InputPath
    """Folder with train and val as .jsonl or .jsonl.gz, and test/TECHNOLOGY.jsonl or .jsonl.gz."""
    source: Annotated[str, Field(pattern=r"^[A-Za-z0-9][\w.-]*$")] = "iac"
    """Name written into each record's metadata and, in capitals, into its id."""
    context_lines: NonNegativeInt = 5
    """Lines read on either side of the flagged one [lines]."""
    max_seq_len: Annotated[int, Field(ge=16, le=16384)] = 512
    """Longest token sequence kept, special tokens included; of longer ones the lines farthest from the flagged one
    are left out [tokens]."""
    shared_files: Literal["regroup", "drop"] = "regroup"
    """Files with findings in both train and val: regroup gives each whole to one of the two, keeping the size of val
    as near as it gets; drop leaves them out of train. Test stays as given."""
    near_duplicate_similarity: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7
    """Estimated Jaccard similarity from which two findings count as near duplicates."""
    quick_test: bool = False
    """Only the first 100 findings of each split, after grouping (recorded)."""
