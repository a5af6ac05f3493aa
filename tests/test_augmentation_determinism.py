"""Augmentation is deterministic, and its configuration says what is done: the seed's test file of this name.

The long part goes over many more texts: in ``make test-long``, or with ``RUN_DL_TRAIN_TESTS=1`` as the seed has it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from benchmarks.augmentation import generated_text
from models.data.augmentation import AugmentStatistics, augment_many, augment_text
from models.settings.augment import AugmentConfig
from models.settings.languages import LANGUAGES, LanguageName

CODE = (
    "def f(path, size):\n    count = 1\n    label = 'a, b'\n    # read it\n    return path, size == 1, count, label\n"
)
CONFIG = AugmentConfig(
    enable_shuffle=True, enable_whitespace=True, enable_rename=True, enable_comment=True,
    shuffle_prob=0.3, whitespace_prob=0.2, rename_prob=0.4, comment_prob=0.2,
)  # fmt: skip


def test_the_seeds_configuration_is_the_default() -> None:
    assert AugmentConfig() == CONFIG
    assert not AugmentConfig().enable_reorder


def test_equal_seeds_give_equal_variants() -> None:
    result1 = augment_text(CODE, seed=42, config=CONFIG)
    result2 = augment_text(CODE, seed=42, config=CONFIG)

    assert result1.augmented == result2.augmented
    assert result1 == result2
    assert augment_text(CODE) == result1
    assert augment_many(CODE, 3, base_seed=42) == augment_many(CODE, 3, base_seed=42)


def test_seeds_differ_and_strings_do_not() -> None:
    variants = {augment_text(CODE, seed=seed).augmented for seed in range(30)}

    assert len(variants) > 20
    assert all("'a, b'" in variant for variant in variants)


def test_nothing_enabled_changes_nothing() -> None:
    nothing = AugmentConfig(enable_shuffle=False, enable_whitespace=False, enable_rename=False, enable_comment=False)

    assert augment_text(CODE, seed=42, config=nothing) == (CODE, CODE, (), (), True)


def digest_of(numbers: range) -> str:
    digest = hashlib.sha256()
    for language in LANGUAGES:
        for number in numbers:
            for variant in augment_many(generated_text(language, number), 2, number, AugmentConfig(language=language)):
                digest.update(repr(variant).encode())
    return digest.hexdigest()


def digest_in_process(numbers: range, hash_seed: str) -> str:
    program = (
        "import runpy, sys; found = runpy.run_path(sys.argv[1]); "
        "print(found['digest_of'](range(int(sys.argv[2]), int(sys.argv[3]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, __file__, str(numbers.start), str(numbers.stop)],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )  # fmt: skip
    return done.stdout.strip()


def test_processes_and_hash_seeds_make_no_difference() -> None:
    assert digest_in_process(range(2), "1") == digest_of(range(2))


@pytest.mark.long
@pytest.mark.usefixtures("asked_to_train")
@pytest.mark.parametrize("language", LANGUAGES)
def test_long_many_texts_parse_afterwards_and_nothing_is_undone(language: LanguageName) -> None:
    config = AugmentConfig(
        language=language, shuffle_prob=1, whitespace_prob=1, rename_prob=1, comment_prob=1, enable_reorder=True
    )
    statistics = AugmentStatistics(config)
    for number in range(400):
        outcome = augment_text(generated_text(language, number), number, config)
        statistics.add(outcome)
        assert augment_text(outcome.augmented, number, config).parsed
    told = statistics.to_json()
    assert told["num_not_parsed"] == told["undo_rate"] == told["num_unchanged"] == 0


@pytest.mark.long
@pytest.mark.usefixtures("asked_to_train")
def test_long_processes_and_hash_seeds_make_no_difference() -> None:
    assert (
        len({digest_in_process(range(100), hash_seed) for hash_seed in ("0", "1", "31337")} | {digest_of(range(100))})
        == 1
    )
