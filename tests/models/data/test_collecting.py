"""The collect job as a whole: planted leaks, copies and contradictions, counts, refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from models.data.collecting import run
from models.data.duplicates import DuplicateSearch
from models.data.generated import twin_functions
from models.data.generated_collections import exact_copy, near_copy
from models.data.preprocessing import run as run_preprocess
from models.errors import DataInvalid, Interrupted, TooManyRejected
from models.jobs.contract import JobContext, JobResult
from models.jobs.events import EventStream
from models.jobs.keys import run_key
from models.settings.collect import CollectSettings
from models.settings.preprocess import PreprocessSettings

Row = dict[str, Any]
CLEAN_FIELDS = ("func", "target", "project", "commit_id")


def code(twin: int) -> str:
    return twin_functions(twin)[1]


def clean_row(idx: int, **changes: Any) -> Row:
    """A function of its own, in a commit of its own."""
    row = {"project": "p", "commit_id": f"{idx:040x}", "target": idx % 2, "func": code(idx), "idx": idx}
    return row | changes


def noisy_row(twin: int, **changes: Any) -> Row:
    return {"func": code(twin), "label": twin % 2, "src": f"origin{twin % 2}", "key": f"key{twin}"} | changes


def good_clean() -> dict[str, list[Row]]:
    return {
        "train": [clean_row(at) for at in range(4)],
        "valid": [clean_row(at) for at in (10, 11)],
        "test": [clean_row(at) for at in (20, 21)],
    }


def write_lines(path: Path, rows: Sequence[Row | bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows))
    return path


def lines_of(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


class Collecting:
    """Collects what a test wrote into a folder, and reads what came of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run_path = folder / "run"
        self.clean = good_clean()
        self.sources: dict[str, Sequence[Row | bytes]] = {"noisy": [noisy_row(at) for at in (30, 31)]}
        self.pairs: dict[str, Sequence[Row | bytes]] = {}
        self.options: dict[str, dict[str, Any]] = {}

    def settings(self, **changes: Any) -> CollectSettings:
        for split, rows in self.clean.items():
            write_lines(self.folder / "clean" / f"{split}.jsonl", rows)
        shapes = {"sources": ("collected", self.sources), "pairs": ("pairs", self.pairs)}
        given = {
            field: {
                name: {
                    "data": write_lines(self.folder / field / f"{name}.jsonl", rows),
                    "format": shape,
                    **self.options.get(name, {}),
                }
                for name, rows in collections.items()
            }
            for field, (shape, collections) in shapes.items()
        }
        return CollectSettings(**({"clean": self.folder / "clean", "clean_name": "made"} | given | changes))

    def run(self, stop: Callable[[], bool] = lambda: False, **changes: Any) -> JobResult:
        self.run_path.mkdir(exist_ok=True)
        events = EventStream(self.run_path / "progress.jsonl", echo=None)
        try:
            return run(self.settings(**changes), JobContext(self.run_path, self.folder, events, stop))
        finally:
            events.close()

    def rows(self, name: str) -> list[Row]:
        return lines_of(self.run_path / f"{name}.jsonl")

    @property
    def collection(self) -> Row:
        found: Row = json.loads((self.run_path / "collection.json").read_bytes())
        return found

    @property
    def trained(self) -> set[tuple[str, str]]:
        return {(row["source"], row["idx"]) for row in self.rows("train")}

    @property
    def dropped(self) -> dict[str, str]:
        return {row["idx"]: row["reason"] for row in self.rows("dropped")}

    @property
    def warnings(self) -> list[str]:
        events = lines_of(self.run_path / "progress.jsonl")
        return [event["message"] for event in events if event["event"] == "notice" and event["level"] == "warning"]


@pytest.fixture
def collecting(tmp_path: Path) -> Collecting:
    return Collecting(tmp_path)


def fix(twin: int, **changes: Any) -> Row:
    _, safe, vulnerable = twin_functions(twin)
    link = f"github.com/example/thing/commit/{twin:040x}"
    return {"func_src_before": vulnerable, "func_src_after": safe, "commit_link": link, "file_name": "a.c"} | changes


def test_it_leaves_the_files_promised_and_nothing_else(collecting: Collecting) -> None:
    collecting.pairs = {"fixes": [fix(40), fix(41)]}
    result = collecting.run()

    left = {path.relative_to(collecting.run_path).as_posix() for path in collecting.run_path.rglob("*")}
    assert left == {*result.files, "progress.jsonl"}
    assert set(result.files) == {
        "train.jsonl", "valid.jsonl", "test.jsonl", "pairs.jsonl", "rejected.jsonl", "dropped.jsonl", "collection.json",
    }  # fmt: skip
    assert [(row["source"], row["idx"]) for row in collecting.rows("train")] == [
        *(("made", str(at)) for at in range(4)), ("noisy", "key30"), ("noisy", "key31"),
    ]  # fmt: skip
    assert [row["origin"] for row in collecting.rows("train")][3:] == ["", "origin0", "origin1"]
    pairs = collecting.rows("pairs")
    assert [(row["side"], row["target"]) for row in pairs] == [("vulnerable", 1), ("fixed", 0)] * 2
    assert [pairs[at]["pair"] == pairs[at + 1]["pair"] for at in range(3)] == [True, False, True]


def test_without_pairs_there_is_no_file_of_them(collecting: Collecting) -> None:
    assert "pairs.jsonl" not in collecting.run().files


def test_held_out_splits_come_out_as_they_went_in(collecting: Collecting) -> None:
    copies = [clean_row(90, func=code(10)), clean_row(91, func=near_copy(code(11)), target=0, commit_id="")]
    collecting.clean["valid"] += copies
    collecting.clean["test"] += [clean_row(92, func=code(10), target=1)]
    collecting.sources["noisy"] = [noisy_row(30), noisy_row(31), noisy_row(10), noisy_row(20)]
    collecting.run()

    for split in ("valid", "test"):
        before, after = collecting.clean[split], collecting.rows(split)
        assert [{field: row[field] for field in CLEAN_FIELDS} for row in after] == [
            {field: row[field] for field in CLEAN_FIELDS} for row in before
        ]
        assert [row["idx"] for row in after] == [str(row["idx"]) for row in before]
        assert {(row["source"], row["origin"]) for row in after} == {("made", "")}


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_planted_leak_of_each_kind_never_trains(split: str, collecting: Collecting) -> None:
    held_out = clean_row(50)
    middle = near_copy(near_copy(code(50)))
    collecting.clean[split].append(held_out)
    collecting.clean["train"] += [
        clean_row(60, func=exact_copy(code(50))),
        clean_row(61, commit_id=held_out["commit_id"]),
        clean_row(62, func=middle),
        clean_row(63, commit_id=clean_row(62)["commit_id"]),
    ]
    collecting.sources["noisy"] = [
        noisy_row(30),
        noisy_row(31),
        noisy_row(50, func=exact_copy(code(50))),
        noisy_row(51, func=near_copy(code(50)), label=1),
        noisy_row(63),
    ]
    collecting.run()

    assert collecting.dropped == {
        "60": f"exact_copy_of_{split}",
        "61": f"commit_in_{split}",
        "62": f"near_copy_of_{split}",
        "63": f"linked_to_{split}",
        "key50": f"exact_copy_of_{split}",
        "key51": f"near_copy_of_{split}",
        "key63": f"linked_to_{split}",
    }
    assert {row["twin"] for row in collecting.rows("dropped")} == {f"MADE-{split.upper()}-50"}
    assert not collecting.trained & {("made", "60"), ("made", "61"), ("made", "62"), ("made", "63")}
    assert any("made train: 4 (" in warning and "kept out of training" in warning for warning in collecting.warnings)


def test_a_planted_leak_of_the_pairs_never_trains(collecting: Collecting) -> None:
    collecting.pairs = {"fixes": [fix(40), fix(41)]}
    collecting.clean["train"] += [clean_row(70, commit_id=f"{40:040x}"), clean_row(71, func=twin_functions(41)[2])]
    collecting.sources["noisy"] = [noisy_row(30), noisy_row(31), noisy_row(40, func=near_copy(twin_functions(40)[2]))]
    collecting.run()

    assert collecting.dropped == {
        "70": "commit_in_pairs",
        "71": "exact_copy_of_pairs",
        "key40": "near_copy_of_pairs",
    }
    assert len(collecting.rows("pairs")) == 4


def test_a_row_that_contradicts_a_clean_row_goes_and_is_counted(collecting: Collecting) -> None:
    collecting.sources["noisy"] = [
        noisy_row(30), noisy_row(31),
        noisy_row(0, label=1), noisy_row(1, func=near_copy(code(1)), label=0),
        noisy_row(2), noisy_row(3, func=near_copy(code(3))),
    ]  # fmt: skip
    collecting.run()

    assert collecting.dropped == {
        "key0": "conflicts_with_clean",
        "key1": "conflicts_with_clean",
        "key2": "exact_copy_of_clean",
        "key3": "near_copy_of_clean",
    }
    found = collecting.collection["sources"]["noisy"]
    assert found["dropped_by_reason"] == Counter(collecting.dropped.values())
    assert (found["rows"], found["accepted"], found["kept"]) == (6, 6, 2)
    assert any("2 conflicts_with_clean" in warning for warning in collecting.warnings)
    assert {("made", str(at)) for at in range(4)} < collecting.trained


def test_copies_and_contradictions_among_collections(collecting: Collecting) -> None:
    safe, vulnerable = twin_functions(33)[1:]
    collecting.sources = {
        "first": [noisy_row(30), noisy_row(31), noisy_row(32, label=0), noisy_row(33, func=safe, label=0)],
        "second": [
            noisy_row(130, func=exact_copy(code(30)), label=0),
            noisy_row(131, func=near_copy(code(31)), label=1),
            noisy_row(132, func=code(32), label=1),
            noisy_row(133, func=vulnerable, label=1),
        ],
    }
    collecting.run()

    assert collecting.dropped == {
        "key32": "contradictory", "key132": "contradictory", "key130": "exact_copy", "key131": "near_copy"
    }  # fmt: skip
    sources = collecting.collection["sources"]
    assert [sources[name]["near_conflicts_kept"] for name in sources] == [1, 1]
    assert sources["second"]["duplicate_share"] == 0.75
    assert any(warning.startswith("second: 75.0% of 4 rows are copies") for warning in collecting.warnings)


def test_the_order_of_the_settings_decides_nothing(collecting: Collecting) -> None:
    """The run key knows no order: of near copies that of the first name stays, however they are written down."""
    shared = code(33)
    named = {
        "a": [noisy_row(30), noisy_row(31), noisy_row(33, func=shared, label=1)],
        "b": [noisy_row(32), noisy_row(34), noisy_row(133, func=near_copy(shared), label=1)],
    }
    pairs = {"p": [fix(40)], "q": [fix(41)]}
    written = []
    for order in (1, -1):
        collecting.sources = dict(list(named.items())[::order])
        collecting.pairs = dict(list(pairs.items())[::order])
        keys = run_key(collecting.settings())
        result = collecting.run()
        written.append((keys, {name: (collecting.run_path / name).read_bytes() for name in result.files}))
    assert written[0] == written[1]
    assert collecting.dropped == {"key133": "near_copy"}


@pytest.mark.parametrize("names", [("Made", "noisy"), ("noisy", "NOISY")])
def test_names_that_are_one_in_ids_are_refused(collecting: Collecting, names: tuple[str, str]) -> None:
    collecting.sources = {names[0]: [noisy_row(30)]}
    collecting.pairs = {names[1]: [fix(40)]}
    with pytest.raises(ValidationError, match="which are one in ids, names two sets of data"):
        collecting.settings()


def test_clean_rows_lost_through_a_collected_row_only_are_counted_and_told(collecting: Collecting) -> None:
    collecting.clean["train"].append(clean_row(60, func=near_copy(code(60))))
    collecting.clean["test"].append(clean_row(61))
    collecting.options = {"noisy": {"format": "codexglue"}}
    collecting.sources["noisy"] = [
        clean_row(30), clean_row(31), clean_row(160, func=code(60), commit_id="f" * 40),
        clean_row(161, func=near_copy(code(61)), commit_id="F" * 40),
    ]  # fmt: skip
    collecting.run()
    assert collecting.dropped == {"60": "linked_to_test", "160": "linked_to_test", "161": "near_copy_of_test"}
    assert collecting.collection["clean_dropped_through_sources"] == 1
    assert any("made train: 1 rows hang together with held-out rows through" in text for text in collecting.warnings)
    collecting.sources = {}
    collecting.run()
    assert ("made", "60") in collecting.trained
    assert collecting.collection["clean_dropped_through_sources"] == 0


def test_what_held_out_sets_share_is_told(collecting: Collecting) -> None:
    collecting.run()
    assert collecting.collection["held_out_overlaps"] == {
        "valid_test": {"exact_copies": 0, "near_copies": 0, "commits": 0}
    }
    assert not any("not independent" in text for text in collecting.warnings)
    collecting.clean["test"].append(clean_row(22, func=exact_copy(code(10)), commit_id=clean_row(11)["commit_id"]))
    collecting.pairs = {"fixes": [fix(40, func_src_before=near_copy(code(20)))]}
    collecting.run()
    overlaps = collecting.collection["held_out_overlaps"]
    assert overlaps["valid_test"] == {"exact_copies": 1, "near_copies": 0, "commits": 1}
    assert overlaps["pairs_test"]["near_copies"] >= 1
    assert any(text.startswith("valid and test are not independent: 1 rows of valid") for text in collecting.warnings)


def test_a_source_that_is_nearly_all_duplicates_is_warned_about_with_the_number(collecting: Collecting) -> None:
    copies = [noisy_row(30, func=exact_copy(code(30)), key=f"copy{at}") for at in range(19)]
    collecting.sources["noisy"] = [noisy_row(30), *copies]
    collecting.run()
    assert collecting.collection["sources"]["noisy"]["duplicate_share"] == 0.95
    assert any("noisy: 95.0% of 20 rows are copies of others" in warning for warning in collecting.warnings)


def test_a_source_of_which_nothing_is_left_is_refused_and_says_why(collecting: Collecting) -> None:
    collecting.sources["noisy"] = [noisy_row(0), noisy_row(1, label=0), noisy_row(10)]
    with pytest.raises(DataInvalid, match=r"noisy\.jsonl: nothing of its 3 .*1 conflicts_with_clean, 1 exact_copy_of_"):
        collecting.run()
    assert len(collecting.rows("dropped")) == 3
    assert not (collecting.run_path / "train.jsonl").exists()


def test_clean_training_data_that_are_all_leaks_are_refused(collecting: Collecting) -> None:
    collecting.clean["train"] = [clean_row(5, commit_id=clean_row(20)["commit_id"])]
    with pytest.raises(DataInvalid, match=r"train\.jsonl: nothing of its 1 .*1 commit_in_test"):
        collecting.run()


def test_a_source_with_a_single_label_is_flagged_and_left_as_it_is(collecting: Collecting) -> None:
    collecting.sources = {
        "single": [noisy_row(at, label=1) for at in (30, 31)],
        "mixed": [noisy_row(32), noisy_row(33), noisy_row(34, src="both", label=1), noisy_row(35, src="both", label=0)],
    }
    collecting.run()

    sources = collecting.collection["sources"]
    assert [sources[name]["single_label"] for name in ("single", "mixed")] == [True, False]
    assert sources["mixed"]["single_label_origins"] == ["origin0", "origin1"]
    assert sources["single"]["labels"] == {"0": 0, "1": 2}
    assert any("single: all 2 rows have label 1" in warning for warning in collecting.warnings)
    assert any("mixed: 2 of 3 origins have a single label: origin0 (1 rows" in text for text in collecting.warnings)


def test_broken_rows_are_told_with_their_reasons(collecting: Collecting) -> None:
    broken = [
        b"{",
        noisy_row(32, label=None),
        noisy_row(32, label="unknown"),
        noisy_row(32, func="int f(void) { return 0; } " + " " * 10_000_000),
    ]
    collecting.sources["noisy"] = [noisy_row(30), noisy_row(31), *broken]
    collecting.clean["train"].append(clean_row(0))
    collecting.run(max_rejected_fraction=0.7)

    assert [(row["source"], row["line"], row["reason"]) for row in collecting.rows("rejected")] == [
        ("made", 5, "duplicate_id"),
        ("noisy", 3, "broken_json"),
        ("noisy", 4, "missing_label"),
        ("noisy", 5, "foreign_label"),
        ("noisy", 6, "line_too_long"),
    ]
    assert collecting.collection["sources"]["noisy"]["rejected_by_reason"]["missing_label"] == 1
    assert any("noisy: 4 (" in warning and "of 6 rows rejected" in warning for warning in collecting.warnings)


def test_too_many_broken_rows_end_the_job_and_leave_the_list(collecting: Collecting) -> None:
    collecting.sources["noisy"] = [noisy_row(30), noisy_row(31), b"{"]
    with pytest.raises(TooManyRejected, match=r"noisy\.jsonl: 1 of 3 rows"):
        collecting.run(max_rejected_fraction=0.3)
    assert [row["reason"] for row in collecting.rows("rejected")] == ["broken_json"]
    collecting.run(max_rejected_fraction=0.34)


def test_rows_in_another_language_are_counted_apart(collecting: Collecting) -> None:
    python = "def f(self, x):\n    if x is None:\n        return []\n    for y in x:\n        print(y)\n    return x\n"
    collecting.sources["noisy"] = [noisy_row(30), noisy_row(31), *(noisy_row(at, func=python) for at in range(32, 40))]
    collecting.run(max_rejected_fraction=0.0)
    assert collecting.collection["sources"]["noisy"]["rejected_by_reason"] == {"wrong_language": 8}


def test_a_collection_without_a_usable_row_is_refused(collecting: Collecting) -> None:
    collecting.sources["noisy"] = [b"{"]
    with pytest.raises(DataInvalid, match=r"none of its 1 rows is usable as collected"):
        collecting.run(max_rejected_fraction=1.0)


def test_a_stated_sample_keeps_proportions_and_both_sides_of_pairs(collecting: Collecting) -> None:
    collecting.sources["noisy"] = [noisy_row(30 + at, label=int(at % 4 == 0), src="a") for at in range(20)]
    collecting.pairs = {"fixes": [fix(at) for at in range(60, 70)]}
    collecting.options = {"noisy": {"max_rows": 8}, "fixes": {"max_rows": 7}}
    collecting.run()

    found = collecting.collection["sources"]["noisy"]
    assert (found["sampled_out"], found["labels"]) == (12, {"0": 6, "1": 2})
    first = collecting.rows("train")
    assert (
        collecting.collection["pairs"]["fixes"] | {"num_pairs": 3, "sampled_out": 14}
        == collecting.collection["pairs"]["fixes"]
    )
    assert Counter(Counter(row["pair"] for row in collecting.rows("pairs")).values()) == {2: 3}
    collecting.run(seed=43)
    assert collecting.rows("train") != first


def test_half_a_pair_is_rejected(collecting: Collecting) -> None:
    collecting.pairs = {"fixes": [fix(40), fix(41, func_src_after=None), fix(42, func_src_after=twin_functions(42)[2])]}
    collecting.run(max_rejected_fraction=0.5)
    assert len(collecting.rows("pairs")) == 2
    assert [row["reason"] for row in collecting.rows("rejected")] == ["missing_func", "identical_pair"]


def test_functions_that_are_no_pairs_are_refused_as_pairs(collecting: Collecting) -> None:
    collecting.pairs = {"fixes": [noisy_row(30)]}
    collecting.options = {"fixes": {"format": "collected"}}
    with pytest.raises(TooManyRejected):
        collecting.run()
    assert [row["reason"] for row in collecting.rows("rejected")] == ["no_pair"]


def test_bytes_are_the_same_in_another_place_and_process(collecting: Collecting, tmp_path: Path) -> None:
    collecting.pairs = {"fixes": [fix(40), fix(41)]}
    result = collecting.run()
    job = tmp_path / "job.json"
    job.write_text(collecting.settings().model_dump_json())
    command = [sys.executable, "-m", "models", str(job), f"--run-dir={tmp_path / 'there'}", f"--runs={tmp_path}"]
    subprocess.run(command, check=True, capture_output=True, env={"PYTHONHASHSEED": "77"})
    for name in result.files:
        assert (tmp_path / "there" / name).read_bytes() == (collecting.run_path / name).read_bytes()
        assert str(tmp_path) not in (collecting.run_path / name).read_text()


def test_asked_to_stop_it_leaves_and_starts_over(collecting: Collecting) -> None:
    asked = iter([False] * 9 + [True] * 9)
    with pytest.raises(Interrupted):
        collecting.run(stop=lambda: next(asked))
    assert not (collecting.run_path / "collection.json").exists()
    collecting.run()
    assert not (collecting.run_path / ".collect").exists()


def test_what_is_left_is_searched_again_where_not_all_pairs_were_compared(
    collecting: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first search misses a leak, as one may that cuts a bucket; the search among what is left finds it."""
    collecting.sources["noisy"] = [
        noisy_row(30), noisy_row(31), noisy_row(130, func=code(30), label=0), noisy_row(20, func=near_copy(code(20))),
    ]  # fmt: skip
    searches: list[int] = []
    true_links = DuplicateSearch.links

    def links(search: DuplicateSearch) -> Any:
        searches.append(1)
        found = true_links(search)
        return found._replace(near=[], complete=False) if len(searches) == 1 else found

    monkeypatch.setattr(DuplicateSearch, "links", links)
    collecting.run()

    assert len(searches) == 2
    assert collecting.dropped == {"key130": "exact_copy", "key20": "near_copy_of_test"}
    assert collecting.collection["near_copies_complete"] is True
    assert ("noisy", "key30") in collecting.trained


def test_preprocessing_names_rows_by_their_sources_and_finds_no_leak(collecting: Collecting, tmp_path: Path) -> None:
    collecting.sources["noisy"] = [noisy_row(30, key="0"), noisy_row(31, key="1"), noisy_row(20), noisy_row(10)]
    collecting.run()
    events = EventStream(None, echo=None)
    settings = PreprocessSettings(data=collecting.run_path, vocab_size=320, num_workers=1)
    run_preprocess(settings, JobContext(tmp_path, tmp_path, events))

    records = lines_of(tmp_path / "train.jsonl")
    assert [record["id"] for record in records] == [
        *(f"MADE-TRAIN-{at}" for at in range(4)), "NOISY-TRAIN-0", "NOISY-TRAIN-1",
    ]  # fmt: skip
    assert [(record["metadata"]["source"], record["metadata"]["origin"]) for record in records[3:5]] == [
        ("made", ""),
        ("noisy", "origin0"),
    ]
    metadata = json.loads((tmp_path / "preprocessing_metadata.json").read_bytes())
    assert metadata["splits"]["train"]["sources"] == {"made": 4, "noisy": 2}
    assert {split: twins["either"] for split, twins in metadata["duplicates"]["with_twin_in_train"].items()} == {
        "valid": 0,
        "test": 0,
    }


def preprocessed_ids(data: Path, folder: Path) -> dict[str, list[str]]:
    folder.mkdir()
    settings = PreprocessSettings(data=data, source="made", vocab_size=320, num_workers=1)
    run_preprocess(settings, JobContext(folder, folder, EventStream(None, echo=None)))
    return {split: [row["id"] for row in lines_of(folder / f"{split}.jsonl")] for split in ("train", "valid", "test")}


def test_held_out_rows_have_the_ids_that_they_have_without_this_job(collecting: Collecting, tmp_path: Path) -> None:
    """Phases are compared on the ids of their test records; rows without idx are named by their line."""
    for split, rows in collecting.clean.items():
        for row in rows[:1]:
            del row["idx"]
        rows[1]["idx"] = {"train": "line-1", "valid": "line-1", "test": "idx-line-1"}[split]
    collecting.sources["noisy"] = [
        noisy_row(30, key=None), noisy_row(31), noisy_row(10, func=near_copy(code(10))), noisy_row(0),
    ]  # fmt: skip
    collecting.run()
    ids = preprocessed_ids(collecting.run_path, tmp_path / "collected")
    direct = preprocessed_ids(tmp_path / "clean", tmp_path / "direct")

    assert direct["test"] == ["MADE-TEST-line-1", "MADE-TEST-idx-idx-line-1"]
    assert {split: ids[split] for split in ("valid", "test")} == {split: direct[split] for split in ("valid", "test")}
    assert len(set(ids["train"])) == len(ids["train"]) == 6
    twins = {row["idx"]: row["twin"] for row in collecting.rows("dropped")}
    assert twins == {"key10": "MADE-VALID-line-1", "key0": ids["train"][0]}
