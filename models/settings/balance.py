"""The ``balance`` job: functions of real repositories to a balanced data set, with pairs and triples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from models.settings.augment import AugmentConfig
from models.settings.fields import InputPath, Settings
from models.settings.languages import LANGUAGES, LanguageName

CodeFormat = Literal["auto", "repositories", "rosetta", "plagiarism", "sven", "juliet"]


class BalanceSettings(Settings):
    """Cut functions out of repositories, label, balance and split them, and join those that do the same to pairs."""

    kind: Literal["balance"] = "balance"
    repos_root: InputPath = Path("data/repos")
    """Folder whose sub-folders are repositories; or a collection in one of the known shapes (format)."""
    format: CodeFormat = "auto"
    """Shape of the data; auto looks at it."""
    labels: InputPath | None = None
    """Labels of functions: .jsonl of {"file", "function", "label"} and optionally "line" and "task" (what a function
    does the same as); label is 1, 0, or null where only the task is known. Files are relative to repos_root. Empty:
    repos_root/labels.jsonl, where there is one."""
    before_after: InputPath | None = None
    """Fixes: .jsonl of {"before", "after"}, files relative to repos_root; a function that differs is vulnerable before
    and safe after. Empty: repos_root/before_after.jsonl, where there is one."""
    label_by_rules: bool = False
    """Label functions that nothing else labels by rules (calls known to be dangerous): weak, and counted apart."""
    languages: Annotated[tuple[LanguageName, ...], Field(min_length=1)] = LANGUAGES
    """Languages that are read; files of others are counted and passed over."""
    balance_ratio: Annotated[float, Field(gt=0.0, lt=1.0)] | None = 0.5
    """Share of vulnerable functions in each split, met by leaving some of the larger label out, and functions without a
    label; where nothing is labelled they stay as they come. None: as they come."""
    split_by: Literal["repository", "file", "auto"] = "auto"
    """What is never divided between splits. Near copies, both sides of a fix and functions that do the same stay
    together too; auto: the repository, or the file where whole repositories so joined leave validation or test less
    than half of its share, or without a label to balance by, which is told."""
    val_share: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.1
    """Share of functions in validation, as near as whole groups allow."""
    test_share: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.1
    """Share of functions in test, as near as whole groups allow."""
    augment_k: NonNegativeInt = 0
    """Changed variants of each training function, fewer where it has no more, or its label has too many for
    balance_ratio; validation and test are never augmented [variants]."""
    augment: AugmentConfig = AugmentConfig()
    """How variants are made."""
    pairs_per_sample: PositiveInt = 2
    """Pairs that each function begins at most [pairs]."""
    near_duplicate_similarity: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    """Estimated Jaccard similarity from which two functions are kept in one split; exact copies always are."""
    max_file_bytes: PositiveInt = 2_000_000
    """Larger files are counted and passed over [bytes]."""
    max_function_chars: PositiveInt = 100_000
    """Larger functions are counted and passed over [characters]."""
    seed: NonNegativeInt = 1337
    """Seed of splits, choice and variants."""

    @model_validator(mode="after")
    def _something_is_left_to_train_on(self) -> BalanceSettings:
        if self.val_share + self.test_share > 0.8:
            raise ValueError("val_share and test_share leave too little for training; give at most 0.8 together")
        return self
