"""The audit job on small sets with planted defects, and on sets that lack what a check needs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from models.errors import DataInvalid, Interrupted
from models.evaluation.audit import words as audit_words
from models.evaluation.audit.folds import Estimate
from models.evaluation.audit.job import AUDIT_FILE, run
from models.evaluation.audit.words import WordScores
from models.jobs.contract import JobContext
from models.jobs.events import EventStream
from models.settings.audit import AuditSettings

WORDS = ("alpha", "beta", "gamma", "delta", "count", "size", "index", "left", "right", "value", "buffer", "node")
SIZES = {"train": 240, "valid": 60, "test": 60}

Rows = dict[str, list[dict[str, Any]]]


def code_of(random: np.random.Generator, *, mark: str = "") -> str:
    """A function of about the same length whatever its label; no two are near copies."""
    lines = [
        f"  {random.choice(WORDS)}_{random.integers(999)} = {random.choice(WORDS)} + {random.integers(999)};"
        for _ in range(random.integers(6, 12))
    ]
    return f"int f{random.integers(10**6)}(int a)\n{{\n" + "\n".join([*lines, f"  {mark}"]) + "\n  return a;\n}\n"


def clean_rows(seed: int = 5) -> Rows:
    """No defect: labels drawn for each record, commits of two in one split, two projects, words that say nothing."""
    random = np.random.default_rng(seed)
    rows: Rows = {}
    idx = random.permutation(sum(SIZES.values())).tolist()
    for split, size in SIZES.items():
        rows[split] = [
            {
                "project": ("brook", "tarn")[at // 2 % 2],
                "commit_id": f"{split}{at // 2}",
                "target": int(random.random() < 0.5),
                "func": code_of(random),
                "idx": idx.pop(),
            }
            for at in range(size)
        ]
    return rows


def write(folder: Path, rows: Rows) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split, own in rows.items():
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    return folder


@pytest.fixture
def audited(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs the job on rows or a path and gives ``audit.json``."""
    numbers: Iterator[int] = iter(range(99))

    def audit(data: Rows | Path, **settings: Any) -> dict[str, Any]:
        path = data if isinstance(data, Path) else write(tmp_path / f"data{next(numbers)}", data)
        run_path = tmp_path / f"run{next(numbers)}"
        run_path.mkdir()
        run(AuditSettings(data=path, **settings), JobContext(run_path, tmp_path, EventStream(None, None)))
        document: dict[str, Any] = json.loads((run_path / AUDIT_FILE).read_text())
        return document

    return audit


def verdicts(audit: dict[str, Any]) -> dict[str, str]:
    return {check["name"]: check["verdict"] for check in audit["checks"]}


def check(audit: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [each for each in audit["checks"] if each["name"] == name]
    return dict(found)


def test_data_without_a_defect_are_told_to_be_good(audited: Callable[..., dict[str, Any]]) -> None:
    found = verdicts(audited(clean_rows()))
    # Words know nothing here, which is worth a look: they cannot judge labels, and constants are as good.
    assert {name: verdict for name, verdict in found.items() if verdict != "good"} == {
        "shortcut_source": "not_checked",
        "constant_answers": "look",
        "label_noise": "look",
    }


def plant_labels_of_commits(rows: Rows) -> None:
    for own in rows.values():
        for row in own:
            row["target"] = sum(map(ord, row["commit_id"])) * 7 % 11 % 2


def plant_order(rows: Rows) -> None:
    for own in rows.values():
        for at, row in enumerate(own):
            row["target"] = at // 20 % 2
            row["commit_id"] = f"{row['commit_id']}-{at}"


def plant_commit_across(rows: Rows) -> None:
    for at in range(10):
        rows["valid"][at]["commit_id"] = rows["train"][at]["commit_id"]


def plant_copies_across(rows: Rows) -> None:
    for at in range(10):
        rows["test"][at]["func"] = "/* new */ " + rows["train"][at]["func"]


def plant_contradictions(rows: Rows) -> None:
    for at in range(0, 20, 2):
        first, second = rows["train"][at : at + 2]
        second.update(func=first["func"], target=1 - first["target"])


def plant_length(rows: Rows) -> None:
    for own in rows.values():
        for row in own:
            row["func"] += "// end of it\n" * (9 * row["target"])


def plant_mark(rows: Rows) -> None:
    random = np.random.default_rng(1)
    for own in rows.values():
        for row in own:
            row["func"] = code_of(random, mark="bad_sink(a);" if row["target"] else "other_sink(a);")


def plant_project(rows: Rows) -> None:
    for own in rows.values():
        for row in own:
            row["project"] = "brook" if row["target"] else "tarn"
            row["commit_id"] += row["project"]


def plant_rare_label(rows: Rows) -> None:
    for row in rows["test"]:
        row["target"] = 0


@pytest.mark.parametrize(
    ("plant", "name"),
    [
        (plant_labels_of_commits, "group_purity"),
        (plant_order, "order_leak"),
        (plant_commit_across, "groups_across_splits"),
        (plant_copies_across, "duplicates_across_splits"),
        (plant_contradictions, "near_duplicate_conflicts"),
        (plant_length, "length"),
        (plant_mark, "telling_words"),
        (plant_mark, "words"),
        (plant_project, "shortcut_project"),
        (plant_rare_label, "class_balance"),
    ],
)
def test_a_planted_defect_is_found_with_what_to_do(
    plant: Callable[[Rows], None], name: str, audited: Callable[..., dict[str, Any]]
) -> None:
    rows = clean_rows()
    plant(rows)
    found = check(audited(rows), name)
    assert found["verdict"] == "bad"
    assert found["detail"]
    assert found["advice"]
    assert found["value"] is not None


def test_a_leak_through_commits_shows_in_words_that_only_the_commit_has(
    audited: Callable[..., dict[str, Any]],
) -> None:
    rows, random = clean_rows(), np.random.default_rng(2)
    for own in rows.values():
        for at, row in enumerate(own):
            row["commit_id"] = f"{row['project']}{at // 4}{own is rows['train']}"
            row["target"] = sum(map(ord, row["commit_id"])) * 5 % 7 % 2
            own_word = "ticket_" + row["commit_id"]
            row["func"] = code_of(random, mark=f"{own_word}({own_word}, {own_word});")
    audit = audited(rows)
    assert check(audit, "split_leak")["verdict"] == "bad"
    words = audit["baselines"]["words"]
    assert words["random_folds"]["auroc"]["value"] > words["group_folds"]["auroc"]["value"] + 0.2


def scored_words(value: float) -> WordScores:
    estimate = Estimate(value, value - 0.01, value + 0.01, np.full(10, value))
    return WordScores(np.arange(4) % 2, np.zeros(4), estimate, 0.5, (value, value))


def test_random_folds_that_score_worse_are_worth_a_look_and_no_leak() -> None:
    judged = audit_words._judge_leak
    rows = SimpleNamespace(grouped_by="commit")
    leak, against = (judged(rows, scored_words(value), scored_words(0.6)) for value in (0.7, 0.5))  # type: ignore[arg-type]
    assert (leak.verdict, leak.title) == ("bad", "Leak through groups")
    assert (against.verdict, against.title) == ("look", "Random folds score worse")
    assert leak.name == against.name == "split_leak"


def test_the_p_value_of_the_stronger_of_two_orders_is_corrected(audited: Callable[..., dict[str, Any]]) -> None:
    found = audited(clean_rows())["order_leak"]
    own = found["orders"][found["by"]]["p_value"]
    assert found["p_value"] == pytest.approx(min(1.0, len(found["orders"]) * own))
    assert len(found["orders"]) == 2


def test_flipped_labels_are_the_first_hints(audited: Callable[..., dict[str, Any]]) -> None:
    rows = clean_rows()
    plant_mark(rows)
    flipped = set()
    for at in range(0, 200, 20):
        row = rows["train"][at]
        row["target"] = 1 - row["target"]
        flipped.add(f"TRAIN-{row['idx']}")
    noise = audited(rows, num_shown=10)["label_noise"]
    assert len(flipped & {hint["id"] for hint in noise["hints"]}) >= 9
    assert noise["estimated"]["overall"] == pytest.approx(10 / 300, abs=0.02)
    assert noise["estimated_if_shuffled"] > 0.2


def test_the_sealed_split_is_counted_and_nothing_is_learnt_or_shown_of_it(
    audited: Callable[..., dict[str, Any]],
) -> None:
    rows, other = clean_rows(), clean_rows()
    random = np.random.default_rng(9)
    for row in other["test"]:
        row.update(target=1 - row["target"], func=code_of(random), project="elsewhere", commit_id="")
    first, second = audited(rows), audited(other)
    assert first["splits"]["test"]["labels"]["0"] == second["splits"]["test"]["labels"]["1"]
    fitted = ("group_purity", "order_leak", "length", "shortcuts", "baselines", "telling_words", "label_noise")
    assert {name: first[name] for name in fitted} == {name: second[name] for name in fitted}
    assert {hint["split"] for hint in first["label_noise"]["hints"]} <= {"train", "valid"}


def test_equal_data_give_equal_bytes_whatever_their_folder(tmp_path: Path) -> None:
    contents = set()
    for name in ("a", "b"):
        path, run_path = write(tmp_path / name / "data", clean_rows()), tmp_path / name / "run"
        run_path.mkdir()
        run(AuditSettings(data=path), JobContext(run_path, tmp_path, EventStream(None, None)))
        contents.add((run_path / AUDIT_FILE).read_bytes())
    assert len(contents) == 1


def test_records_of_a_preprocess_run_are_read_with_their_commits(
    records_path: Path, audited: Callable[..., dict[str, Any]]
) -> None:
    audit = audited(records_path)
    assert (audit["records"], audit["grouped_by"]) == ("functions", "commit")
    assert audit["splits"]["train"]["records"] == 80
    assert audit["splits"]["train"]["groups"] == 20
    assert audit["group_purity"]["share_single_label"] == 0.0


def test_a_group_that_is_a_records_own_id_is_no_commit(
    records_path: Path, audited: Callable[..., dict[str, Any]]
) -> None:
    for split in ("train", "valid", "test"):
        path = records_path / f"{split}.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row["metadata"]["group"] = row["id"]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    audit = audited(records_path)
    assert audit["grouped_by"] == "cluster of near copies"
    for name in ("group_purity", "groups_across_splits"):
        assert "no function has a commit or file" in check(audit, name)["detail"]


def test_findings_are_sorted_by_smell_and_technology(
    findings_path: Path, audited: Callable[..., dict[str, Any]]
) -> None:
    audit = audited(findings_path)
    assert (audit["records"], audit["grouped_by"]) == ("findings", "file")
    assert {"shortcut_smell", "shortcut_technology"} <= set(verdicts(audit))


def test_a_collection_without_splits_is_all_train_and_its_origin_is_a_shortcut(
    tmp_path: Path, audited: Callable[..., dict[str, Any]]
) -> None:
    random = np.random.default_rng(4)
    rows = [
        {"func": code_of(random), "label": str(at % 3 // 2), "src": ("listed", "unlisted")[at % 3 < 2], "key": f"k{at}"}
        for at in range(120)
    ]
    path = tmp_path / "functions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    audit = audited(path, format="collected")
    assert list(audit["splits"]) == ["train"]
    origin = check(audit, "shortcut_origin")
    assert origin["verdict"] == "bad"
    assert "one label only" in origin["detail"]
    assert audit["shortcuts"]["origin"]["single_label"] == {"unlisted": 0, "listed": 1}


@pytest.mark.parametrize("size", [1, 3, 19])
def test_of_a_few_records_nothing_is_claimed(size: int, audited: Callable[..., dict[str, Any]]) -> None:
    audit = audited({"train": clean_rows()["train"][:size]})
    for name in ("length", "words", "split_leak", "across_projects", "order_leak", "label_noise"):
        assert verdicts(audit)[name] == "not_checked", name


def test_of_one_label_nothing_is_fitted(audited: Callable[..., dict[str, Any]]) -> None:
    rows = clean_rows()
    for own in rows.values():
        for row in own:
            row["target"] = 1
    audit = audited(rows)
    found = verdicts(audit)
    assert found["class_balance"] == "bad"
    for name in ("length", "words", "constant_answers", "order_leak", "label_noise", "telling_words"):
        assert found[name] == "not_checked", name


def test_one_commit_for_all_is_no_two_groups(audited: Callable[..., dict[str, Any]]) -> None:
    rows = {"train": clean_rows()["train"]}
    for row in rows["train"]:
        row["commit_id"] = "same"
    audit = audited(rows)
    assert check(audit, "words")["detail"] == "Not checked: there are not two groups of either label."


def test_rows_that_cannot_be_used_are_left_out_and_counted(tmp_path: Path, audited: Callable[..., Any]) -> None:
    path = write(tmp_path / "raw", clean_rows())
    with (path / "train.jsonl").open("a") as file:
        file.write('{"func": "int f(){}"}\nno json\n')
    assert audited(path)["num_rejected"] == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"func": "", "target": 1}\n', "no record that can be used"),
        ('{"with_context": "x", "label": "TP", "smell": "s"}\n', "run python -m models findings"),
        ('{"id": "a", "code": "x", "label": 2, "metadata": {"group": "g"}}\n', "label 0 or 1"),
        ('{"id": "a", "code": "x", "label": 1, "metadata": {}}\n', "not a record"),
    ],
)
def test_data_that_cannot_be_audited_are_refused_in_a_line(
    content: str, problem: str, tmp_path: Path, audited: Callable[..., Any]
) -> None:
    (tmp_path / "train.jsonl").write_text(content)
    with pytest.raises(DataInvalid, match=problem):
        audited(tmp_path)


def test_asked_to_stop_it_leaves_nothing(tmp_path: Path) -> None:
    path, run_path = write(tmp_path / "raw", clean_rows()), tmp_path / "run"
    run_path.mkdir()
    asked = iter([False, False, True])
    context = JobContext(run_path, tmp_path, EventStream(None, None), stop_requested=lambda: next(asked))
    with pytest.raises(Interrupted):
        run(AuditSettings(data=path), context)
    assert list(run_path.iterdir()) == []
