"""The ``judge`` job: orders of candidates by several systems on the same lists, beside what needs no model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.data.retrieval.candidate_lists import CandidateList
from models.data.retrieval.lists_origin import METADATA_FILE, is_learnt_from_held_out
from models.errors import DataInvalid
from models.evaluation.result_files import write_document
from models.evaluation.retrieval.judged_systems import baselines_of, read_judged_lists, systems_of
from models.evaluation.retrieval.judgement_document import Judgement
from models.jobs.contract import JobContext, JobResult
from models.jobs.keys import run_key, sha256_of
from models.settings.retrieval import JudgeSettings
from models.store.manifest import digest_file
from models.store.openings import append_opening

JUDGEMENT_FILE = "judgement.json"


def run(settings: JudgeSettings, context: JobContext) -> JobResult:
    """Judge; write ``judgement.json``.

    Raises:
        SettingsInvalid: A baseline does not fit the lists, or a system is called as one is. Not retried.
        DataInvalid: Lists or scores are damaged or not of each other, or no list has both labels. Not retried.
        StoreUnavailable: An opening could not be logged, or the disk refuses. Retried.
        Interrupted: Asked to stop; nothing was written. Retried.
    """
    context.enter("load")
    _log_openings(settings, context)
    lists = read_judged_lists(settings.lists)
    if not any(entry.is_mixed for entry in lists):
        raise DataInvalid(settings.lists[0], "no list has both right and wrong candidates, so no order can be judged")
    systems = systems_of(settings, lists)
    baselines = baselines_of(settings.baselines, lists)
    context.enter("measure")
    document = Judgement(settings, lists, [*systems, *baselines], list(_notes(settings, lists))).describe()
    for warning in document["warnings"]:
        context.events.notice(warning, "warning")
    context.enter("write")
    return JobResult(_numbers(document), (write_document(context.run_path, JUDGEMENT_FILE, document),))


def _log_openings(settings: JudgeSettings, context: JobContext) -> None:
    """One line for each file: lists may be of sealed texts, so it is logged whatever they are."""
    names = [*settings.systems, *settings.baselines]
    for path in settings.lists:
        if not path.is_file():
            raise DataInvalid(path, "no such file; expected lists of a mine, retrieve or candidates run")
        append_opening(
            context.openings_log,
            # Systems were logged by the runs that scored; baselines have no weights: what they are names them.
            model_sha256=sha256_of({"baselines": list(settings.baselines)}),
            data_sha256=digest_file(path).sha256,
            split=path.stem,
            purpose=f"judging orders: {', '.join(names)}",
            run_key=run_key(settings),
            attempt=context.attempt,
        )


def _notes(settings: JudgeSettings, lists: Sequence[CandidateList]) -> Iterator[str]:
    """What the lists' own runs say of them."""
    if lists[0].query is not None:
        return
    found = {is_learnt_from_held_out(path) for path in settings.lists}
    if True in found:
        yield (
            "the tokenizer of the candidates run was learnt from the edits of all projects, those that are judged too "
            "(no label was read)"
        )
    if None in found:
        yield (
            f"there is no {METADATA_FILE} of the candidates run beside the lists: whether the tokenizer was learnt "
            "from the edits that are judged is not known"
        )


def _numbers(document: Mapping[str, Any]) -> dict[str, Any]:
    everyone = {**document["systems"], **document["baselines"]}
    return {
        "num_lists": document["num_lists"],
        "num_judged": document["num_judged"],
        "num_groups": document["num_groups"],
        "recall_ceiling": document["recall_ceiling"],
        "systems": {
            name: {metric: value["value"] for metric, value in told["metrics"].items()}
            for name, told in everyone.items()
        },
        "kept": {name: told["kept"]["value"] for name, told in everyone.items() if "kept" in told},
        "verdicts": document["verdicts"],
    }
