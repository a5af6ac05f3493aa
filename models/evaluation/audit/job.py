"""The ``audit`` job: what a careful reader of a data set checks before training on it.

Of the sealed test split labels, groups and copies are counted, as the preprocess report does; nothing is fitted or
scored on it, and none of its texts is shown. Every model of the audit (words, length, categories) is fitted and scored
on train and valid, out of fold. One thread, fixed seeds: equal data give equal bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from models.evaluation.audit.balance import class_balance
from models.evaluation.audit.checks import Section
from models.evaluation.audit.copies import duplicates, joined_with_copies, search_of
from models.evaluation.audit.folds import NUM_RESAMPLES, group_folds, project_folds, random_folds
from models.evaluation.audit.groups import group_purity, groups_across_splits
from models.evaluation.audit.noise import label_noise
from models.evaluation.audit.order import order_leak
from models.evaluation.audit.reading import read_rows
from models.evaluation.audit.rows import SEALED, AuditRows, codes_of, split_counts
from models.evaluation.audit.shortcuts import length, shortcuts
from models.evaluation.audit.telling_words import telling_words
from models.evaluation.audit.words import WordScores, baselines, hashed_words, score_words
from models.evaluation.intervals import draw_resamples
from models.evaluation.metrics import Integers, as_json
from models.evaluation.result_files import write_document
from models.jobs.contract import JobContext, JobResult
from models.settings.audit import AuditSettings

AUDIT_FILE = "audit.json"
MIN_RECORDS = 20
"""Learnable records below which nothing is fitted."""
REPEATS, MANY_RECORDS = 3, 5_000
"""Times that records are folded anew, and from how many records on once is enough: chance then moves little."""


def run(settings: AuditSettings, context: JobContext) -> JobResult:
    """Check a data set; write ``audit.json``.

    Raises:
        DataInvalid: Nothing is there that can be read, or no row of it can be used. Not retried.
        Interrupted: Asked to stop; nothing was written. Retried.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    started = time.monotonic()
    with threadpool_limits(limits=1):  # sums in another order of threads would give other last digits
        document = audit(settings, context)
    write_document(context.run_path, AUDIT_FILE, document)
    verdicts = {check["name"]: check["verdict"] for check in document["checks"]}
    numbers = {
        "num_records": sum(found["records"] for found in document["splits"].values()),
        "num_bad": sum(verdict == "bad" for verdict in verdicts.values()),
        "num_look": sum(verdict == "look" for verdict in verdicts.values()),
        "verdicts": verdicts,
    }
    record = {"seconds_auditing": round(time.monotonic() - started, 3)}
    return JobResult(numbers=numbers, files=(AUDIT_FILE,), record=record)


def audit(settings: AuditSettings, context: JobContext) -> dict[str, Any]:
    """All checks, as ``audit.json`` holds them."""
    context.enter("read")
    rows = read_rows(settings.data, settings.format)
    if rows.num_rejected:
        context.events.notice(f"{rows.num_rejected} rows cannot be used and are left out", "warning")
    splits = split_counts(rows)
    context.enter("find copies")
    search = search_of(rows, settings.near_duplicate_similarity)
    sections = [
        class_balance(rows, splits),
        groups_across_splits(rows),
        duplicates(rows, search),
        *_of_learnable(rows, joined_with_copies(rows, search), settings, context),
    ]
    return {
        "records": rows.kind,
        "read_as": rows.shape,
        "grouped_by": rows.grouped_by or "cluster of near copies",
        "num_rejected": rows.num_rejected,
        "splits": splits,
        "checks": [check.as_json() for section in sections for check in section.checks],
        **{section.name: as_json(section.content) for section in sections},
    }


def _of_learnable(every: AuditRows, joined: Integers, settings: AuditSettings, context: JobContext) -> list[Section]:
    """Checks that fit, score or show records: without the sealed split."""
    seed = settings.seed
    rows = every.learnable
    groups = joined[np.array(every.splits) != SEALED]
    enough = len(rows) >= MIN_RECORDS
    context.enter("check groups and order")
    sections = [group_purity(rows, seed), order_leak(rows, seed)]
    context.enter("check shortcuts")
    resamples = draw_resamples([str(group) for group in groups], num_resamples=NUM_RESAMPLES, seed=seed)
    by_group = group_folds(rows.labels, groups, settings.num_folds, seed) if enough else None
    sections += [length(rows, by_group, resamples), shortcuts(rows, by_group, resamples)]
    context.enter("check words")
    words = hashed_words(rows)
    seeds = range(seed, seed + (REPEATS if len(rows) <= MANY_RECORDS else 1))
    ways: dict[str, Callable[[], list[Integers | None]]] = {
        "random_folds": lambda: [random_folds(rows.labels, settings.num_folds, each) for each in seeds],
        "group_folds": lambda: [
            by_group,
            *(group_folds(rows.labels, groups, settings.num_folds, n) for n in seeds[1:]),
        ],
        "project_folds": lambda: [_by_project(rows, settings.num_folds)],
    }
    scored: dict[str, WordScores | None] = {}
    for done, (name, fold) in enumerate(ways.items()):
        context.leave_if_asked()
        context.events.progress(done, len(ways), "ways to fold")
        scored[name] = score_words(rows, words, fold() if enough else [], resamples, seed)
    sections.append(baselines(rows, scored))
    sections.append(telling_words(rows, words, groups))
    context.enter("look for wrong labels")
    noise = label_noise(rows, words, groups, scored["group_folds"], num_shown=settings.num_shown, seed=seed)
    return [*sections, noise]


def _by_project(rows: AuditRows, num_folds: int) -> Integers | None:
    """Folds by project; a record without one is a project of its own name."""
    names, places = codes_of(rows.categories.get("project", [""] * len(rows)))
    return project_folds(rows.labels, places, num_folds) if len(set(names) - {""}) > 1 else None
