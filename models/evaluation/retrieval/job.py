"""The ``retrieve`` job: search the texts of a split with every system, exactly, and say how well.

Order of things: what is needed is there, the opening of sealed texts is logged, texts and vectors are read, every
system searches, then metrics, intervals and differences. What the encoder finds is left as lists for rerankers.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from models.data.job_progress import Progress
from models.data.retrieval.candidate_lists import CandidateList, list_line
from models.errors import DataInvalid, SettingsInvalid
from models.evaluation.result_files import write_content, write_document, write_rows
from models.evaluation.retrieval.embedded import refuse_other_texts
from models.evaluation.retrieval.found_lists import nearest_lists
from models.evaluation.retrieval.retrieval_document import Searched, describe, small_numbers
from models.evaluation.retrieval.searches import ALL, SEARCHES, Measure, Question, joined, measure_found, queries_of
from models.evaluation.retrieval.systems import (
    BM25,
    ENCODER,
    TEXTS,
    UNTRAINED,
    Encoder,
    Search,
    bm25_of,
    vectors_path,
)
from models.evaluation.retrieval.texts import Integers, Texts, codes_of, read_texts
from models.jobs.contract import JobContext, JobResult
from models.jobs.keys import run_key
from models.settings.retrieval import RetrieveSettings
from models.store.manifest import digest_file
from models.store.openings import append_opening

RETRIEVAL_FILE = "retrieval.json"
RANKS_FILE = "ranks.jsonl"
LISTS_FILE = "lists.jsonl"


class Opened(NamedTuple):
    """The texts of the split.

    Args:
        texts: "
        rows: ``(N,)`` theirs among the texts that were embedded.
        num_embedded: How many these are.
    """

    texts: Texts
    rows: Integers
    num_embedded: int


def run(settings: RetrieveSettings, context: JobContext) -> JobResult:
    """Search; write ``retrieval.json``, ``ranks.jsonl`` and ``lists.jsonl``.

    Raises:
        SettingsInvalid: The embed run did not open the split that is asked for. Not retried.
        DataInvalid: Texts or vectors are damaged or not of each other, or no text does the same as another. Not
            retried.
        StoreUnavailable: The opening could not be logged, or the disk refuses. Retried.
        Interrupted: Asked to stop; nothing was written. Retried.
    """
    context.enter("load")
    opened = _open(settings, context)
    texts = opened.texts
    question, num_with_relevant = queries_of(texts, max_queries=settings.max_queries, seed=settings.seed)
    if not len(question.rows):
        raise DataInvalid(texts.path, f"no {settings.split} text does the same as another; expected at least two")
    not_measured = _not_measured(settings)
    context.enter("search")
    measures: dict[str, dict[str, Measure]] = {search: {} for search in SEARCHES}
    seconds: dict[str, float] = {}
    for name, order_all in _systems(settings, opened, not_measured):
        started = time.monotonic()
        for search, measure in _searched(name, order_all, question, settings, context).items():
            measures[search][name] = measure
        seconds[name] = round(time.monotonic() - started, 3)
    lists = list(_lists(settings, opened, question))
    context.enter("measure")
    copies = _count_copies(texts)
    document = describe(settings, Searched(question, num_with_relevant, copies, _measured(measures), not_measured))
    for warning in document["warnings"]:
        context.events.notice(warning, "warning")
    context.enter("write")
    files = (
        write_document(context.run_path, RETRIEVAL_FILE, document),
        write_rows(context.run_path, RANKS_FILE, _ranks(question, measures[ALL])),
        write_content(context.run_path, LISTS_FILE, b"".join(map(list_line, lists)).decode()),
    )
    return JobResult(small_numbers(document), files, {"seconds_searching": seconds})


def _open(settings: RetrieveSettings, context: JobContext) -> Opened:
    path, vectors = settings.data / TEXTS[settings.split], vectors_path(settings, ENCODER)
    if not vectors.is_file():
        advice = "embed with open_test (the purpose in words)" if settings.split == "test" else "embed the texts"
        raise SettingsInvalid(f"vectors: {settings.vectors} has no {vectors.name}; {advice} first")
    if not path.is_file():
        raise DataInvalid(path, "no such file; expected the texts of a finished pairs run")
    refuse_other_texts(settings.vectors, settings.data)
    if settings.split == "test":
        append_opening(
            context.openings_log,
            model_sha256=digest_file(vectors).sha256,
            data_sha256=digest_file(path).sha256,
            split=settings.split,
            purpose="exact search by an encoder, beside BM25 and, where it was embedded, the untrained encoder",
            run_key=run_key(settings),
            attempt=context.attempt,
        )
    texts = read_texts(path)
    rows = texts.rows_of(settings.split)
    if not len(rows):
        raise DataInvalid(path, f"holds no text of split {settings.split}; make the pairs again")
    return Opened(texts.only(rows), rows, len(texts))


def _not_measured(settings: RetrieveSettings) -> dict[str, str]:
    if vectors_path(settings, UNTRAINED).is_file():
        return {}
    return {UNTRAINED: "the embed run has no vectors of it; embed with with_untrained"}


def _systems(settings: RetrieveSettings, opened: Opened, not_measured: Collection[str]) -> Iterator[tuple[str, Search]]:
    """What searches, one after the other: an encoder's vectors need not be in memory beside another's."""
    yield BM25, bm25_of(opened.texts.path, opened.texts.ids)
    for name in (UNTRAINED, ENCODER):
        if name not in not_measured:
            yield name, _encoder(name, settings, opened).order_all


def _encoder(name: str, settings: RetrieveSettings, opened: Opened) -> Encoder:
    return Encoder(vectors_path(settings, name), num_texts=opened.num_embedded, rows=opened.rows)


def _searched(
    name: str, order_all: Search, question: Question, settings: RetrieveSettings, context: JobContext
) -> dict[str, Measure]:
    """What the system's order is worth, by search; a search in which nothing is relevant is left out."""
    counted = {search: question.num_relevant(search) for search in SEARCHES}
    parts: dict[str, list[Measure]] = defaultdict(list)
    progress = Progress(context, len(question.rows), f"queries ({name})")
    for found in order_all(question.rows):
        context.leave_if_asked(progress.done)
        for search, num_relevant in counted.items():
            if num_relevant.any():
                parts[search].append(measure_found(found, question, search, num_relevant, settings.ks))
        progress.step(len(found.queries))
    return {search: joined(own) for search, own in parts.items()}


def _measured(measures: dict[str, dict[str, Measure]]) -> dict[str, dict[str, Measure]]:
    return {search: of_systems for search, of_systems in measures.items() if of_systems}


def _lists(settings: RetrieveSettings, opened: Opened, question: Question) -> Iterator[CandidateList]:
    """The nearest texts of each query by the encoder."""
    counted = question.num_relevant(ALL)
    for found in _encoder(ENCODER, settings, opened).nearest(question.rows, settings.depth + 1):
        yield from nearest_lists(found, question, counted, depth=settings.depth, split=settings.split)


def _ranks(question: Question, of_systems: dict[str, Measure]) -> Iterator[dict[str, Any]]:
    """Of each query the pessimistic rank of its first relevant text, by system."""
    texts, pools, relevant = question.texts, question.pool_sizes(ALL), question.num_relevant(ALL)
    for query, row in enumerate(question.rows.tolist()):
        yield {
            "id": texts.ids[row],
            "group": texts.groups[row],
            "language": texts.languages[row],
            "pool_size": int(pools[query]),
            "num_relevant": int(relevant[query]),
            "first_rank": {name: int(measure.first_rank[query]) for name, measure in of_systems.items()},
        }


def _count_copies(texts: Texts) -> dict[str, int]:
    """Texts whose very words another text of the pool has: doing the same (relevant to it), or said to do not."""
    codes = codes_of(texts.path, texts.ids)
    of_code, of_both = Counter(codes), Counter(zip(codes, texts.matches, strict=True))
    both = list(zip(codes, texts.matches, strict=True))
    return {
        "equal_match": sum(of_both[pair] > 1 for pair in both),
        "other_match": sum(of_code[pair[0]] > of_both[pair] for pair in both),
    }
