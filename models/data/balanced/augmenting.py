"""Variants of training functions, and the counts of what was done to them."""

from __future__ import annotations

import hashlib
from typing import Any

from models.data.augmentation import AugmentStatistics, augment_many, augment_text
from models.data.balanced.samples import CodeSample
from models.data.balanced.writing import Variant
from models.settings.augment import AugmentConfig
from models.settings.balance import BalanceSettings
from models.settings.languages import LanguageName


class Augmenting:
    """Makes ``augment_k`` variants of each function it is given, fewer where a text has no more.

    Args:
        settings: How many, how, and by which seed.
    """

    def __init__(self, settings: BalanceSettings) -> None:
        self._settings = settings
        self._statistics = AugmentStatistics(settings.augment)
        self._configs: dict[LanguageName, AugmentConfig] = {}
        self._num_functions = self._num_variants = self._num_without = 0

    def vary(self, sample: CodeSample, row_id: str) -> list[Variant]:
        """Variants of a function, under ids made of its own; they depend on it, its id and the seed alone."""
        config, k = self._config_for(sample.language), self._settings.augment_k
        digest = hashlib.sha256(f"{self._settings.seed}:augment:{row_id}".encode()).digest()
        seed = int.from_bytes(digest[:6], "big")
        made = augment_many(sample.code, k, seed, config)
        for outcome in made or [augment_text(sample.code, seed, config)]:  # the latter says why there is none
            self._statistics.add(outcome)
        self._num_functions += 1
        self._num_variants += len(made)
        self._num_without += not made
        return [
            Variant(f"{row_id}#{number}", outcome.augmented, outcome.transformations)
            for number, outcome in enumerate(made, start=1)
        ]

    def report(self) -> dict[str, Any]:
        """How many variants there are of how many functions, and what became of the transforms."""
        return {
            "functions": self._num_functions,
            "variants": self._num_variants,
            "functions_without_variant": self._num_without,
            "fewer_than_asked": self._num_functions * self._settings.augment_k - self._num_variants,
            **self._statistics.to_json(),
        }

    def _config_for(self, language: LanguageName) -> AugmentConfig:
        """The config, reading a function in the language of its file where it names none."""
        config = self._settings.augment
        if config.language is not None:
            return config
        return self._configs.setdefault(language, config.model_copy(update={"language": language}))
