"""The probe job on small preprocess runs; records of functions that a transform leaves alone are the second route."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from models.data import probing
from models.data.columnar import open_records
from models.data.generated import write_sample
from models.data.preprocessing import run as run_preprocess
from models.data.probing import run
from models.data.transforms.checked import Transformed
from models.data.transforms.renaming import rename_identifiers
from models.errors import DataInvalid, Interrupted, SettingsInvalid
from models.jobs.contract import JobContext, JobResult
from models.jobs.events import EventStream
from models.settings.findings import FindingsSettings
from models.settings.preprocess import PreprocessSettings
from models.settings.probe import ProbeSettings
from models.store.manifest import digest_file
from models.store.openings import read_openings

RUN_FILES = {"test.jsonl", "test.arrow", "probe.json"} | {
    f"tokenizer/{name}" for name in ("tokenizer.json", "tokenizer_config.json", "reading.json")
}


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def notices_of(run_path: Path, level: str) -> list[str]:
    events = lines_of(run_path / "progress.jsonl")
    return [event["message"] for event in events if event["event"] == "notice" and event["level"] == level]


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A preprocess run with short limits, so that records are trimmed and graphs cut."""
    folder = tmp_path_factory.mktemp("probed")
    write_sample(folder / "sample", num_functions=200)
    settings = PreprocessSettings(
        data=folder / "sample", vocab_size=400, max_seq_len=90, max_nodes=60, max_code_bytes=4000, num_workers=1
    )
    run_path = folder / "records"
    run_path.mkdir()
    events = EventStream(run_path / "progress.jsonl", echo=None)
    run_preprocess(settings, JobContext(run_path, folder, events))
    events.close()
    (run_path / "settings.json").write_text(settings.model_dump_json())
    return run_path


@pytest.fixture
def probe(records: Path, tmp_path: Path) -> Callable[..., JobResult]:
    def probed(
        what: dict[str, Any], *, name: str = "run", path: Path = records, stop: Callable[[], bool] = lambda: False
    ) -> JobResult:
        run_path = tmp_path / name
        run_path.mkdir(exist_ok=True)
        events = EventStream(run_path / "progress.jsonl", echo=None)
        try:
            settings = ProbeSettings.model_validate({"records": path, "what": what})
            return run(settings, JobContext(run_path, tmp_path, events, stop))
        finally:
            events.close()

    return probed


def test_a_transform_that_changes_nothing_gives_the_test_records_byte_for_byte_and_a_warning(
    probe: Callable[..., JobResult], records: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(probing.TRANSFORMS, "rename", lambda code, *, seed: Transformed(code, False, seed < 0))

    result = probe({"kind": "rename"})

    for name in RUN_FILES - {"probe.json"}:
        assert (tmp_path / "run" / name).read_bytes() == (records / name).read_bytes(), name
    assert result.numbers["changed"] == 0
    assert "changed none of 20" in notices_of(tmp_path / "run", "warning")[0]


@pytest.mark.parametrize("kind", ["rename", "reformat"])
def test_test_records_keep_ids_labels_and_groups_and_change_their_code(
    probe: Callable[..., JobResult], records: Path, tmp_path: Path, kind: str
) -> None:
    result = probe({"kind": kind, "seed": 3})
    again = probe({"kind": kind, "seed": 3}, name="again")
    probe({"kind": kind, "seed": 4}, name="other")

    made, given = lines_of(tmp_path / "run" / "test.jsonl"), lines_of(records / "test.jsonl")
    assert len(made) == len(given) == result.numbers["num_records"] > 0
    for after, before in zip(made, given, strict=True):
        assert (after["id"], after["label"]) == (before["id"], before["label"])
        for name in ("group", "project", "source", "orig_id", "line", "split"):
            assert after["metadata"][name] == before["metadata"][name]
        assert after["code"] != before["code"]
    if kind == "rename":
        assert made[0]["code"] == rename_identifiers(given[0]["code"], seed=3).code
        assert all(a["ast_nodes"] == b["ast_nodes"] for a, b in zip(made, given, strict=True))
    assert result.numbers["changed"] == len(given)
    assert set(result.files) == RUN_FILES == set(again.files)
    assert all((tmp_path / "run" / n).read_bytes() == (tmp_path / "again" / n).read_bytes() for n in RUN_FILES)
    assert (tmp_path / "run/test.jsonl").read_bytes() != (tmp_path / "other/test.jsonl").read_bytes()
    assert json.loads((tmp_path / "run/probe.json").read_bytes()) == result.numbers
    assert list(open_records(tmp_path / "run" / "test.jsonl").ids) == [record["id"] for record in given]


def test_the_opening_of_the_test_split_is_logged_before_it_is_read(
    probe: Callable[..., JobResult], tmp_path: Path, records: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seen_first(path: Path) -> Any:
        assert len(read_openings(tmp_path)) == 1
        raise DataInvalid(path, "stopped here")

    monkeypatch.setattr(probing, "functions_of_test", seen_first)
    with pytest.raises(DataInvalid, match="stopped here"):
        probe({"kind": "reformat"})
    (opening,) = read_openings(tmp_path)
    assert (opening.split, opening.data_sha256) == ("test", digest_file(records / "test.jsonl").sha256)
    assert "reformat probe" in opening.purpose


def pair_row(pair: int, side: str, /, **changes: Any) -> dict[str, Any]:
    is_vulnerable = side == "vulnerable"
    return {
        "func": f"int f_{pair}(char *s, int n)\n{{\n  char b[{pair + 2}];\n"
        + ("" if is_vulnerable else f"  if (n > {pair})\n    return -1;\n")
        + "  return copy(b, s, n);\n}\n",
        "target": int(is_vulnerable),
        "project": "p",
        "commit_id": "" if pair == 1 else f"c{pair // 2}",
        "idx": f"{pair}-{side}",
        "source": "sven",
        "origin": "cwe-787",
        "pair": f"sven-{pair}",
        "side": side,
    } | changes


def write_pairs(folder: Path, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    folder.mkdir()
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"kind": "pairs", "data": folder}


def test_pairs_become_records_side_by_side_and_open_no_test_split(
    probe: Callable[..., JobResult], tmp_path: Path
) -> None:
    rows = [pair_row(pair, side) for pair in range(3) for side in ("vulnerable", "fixed")]
    rows += [pair_row(3, "vulnerable"), pair_row(3, "fixed", func="int f;" + " " * 5000)]

    result = probe(write_pairs(tmp_path / "collected", rows))

    made = lines_of(tmp_path / "run" / "test.jsonl")
    assert [record["id"] for record in made[:2]] == ["SVEN-PAIRS-0-vulnerable", "SVEN-PAIRS-0-fixed"]
    assert [record["metadata"]["side"] for record in made] == ["vulnerable", "fixed"] * 3
    assert [record["label"] for record in made] == [1, 0] * 3
    assert [record["metadata"]["pair"] for record in made] == [f"sven-{pair}" for pair in range(3) for _ in range(2)]
    assert [record["metadata"]["group"] for record in made[::2]] == ["c0", "sven-1", "c1"]
    assert made[0]["metadata"]["origin"] == "cwe-787"
    assert (result.numbers["num_pairs"], result.numbers["pairs_left_out"]) == (3, 1)
    assert result.numbers["changed"] is None
    assert "1 pairs are left out" in notices_of(tmp_path / "run", "warning")[0]
    assert read_openings(tmp_path) == []


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([pair_row(0, "vulnerable")], "one side only"),
        ([pair_row(0, "vulnerable"), pair_row(1, "fixed")], "one pair in a row"),
        ([pair_row(0, "fixed"), pair_row(0, "vulnerable")], "one pair in a row"),
        ([pair_row(0, "vulnerable", target=0), pair_row(0, "fixed")], "no side of a pair"),
        ([pair_row(0, "vulnerable", pair=None), pair_row(0, "fixed")], "no side of a pair"),
        ([pair_row(0, "vulnerable", idx=1), pair_row(0, "fixed", idx=1)], "used by an earlier row"),
        ([pair_row(0, "vulnerable", func=" "), pair_row(0, "fixed")], "empty_func"),
        ([], "no record"),
    ],
)
def test_pairs_that_are_none_are_refused(
    probe: Callable[..., JobResult], tmp_path: Path, rows: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(DataInvalid, match=said):
        probe(write_pairs(tmp_path / "collected", rows))


def test_records_of_something_else_are_refused(probe: Callable[..., JobResult], tmp_path: Path) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    with pytest.raises(SettingsInvalid, match=r"no settings\.json"):
        probe({"kind": "rename"}, path=folder)
    (folder / "settings.json").write_text(FindingsSettings(data=folder).model_dump_json())
    with pytest.raises(SettingsInvalid, match="no preprocess run"):
        probe({"kind": "rename"}, path=folder)
    (folder / "settings.json").write_text(PreprocessSettings(data=folder).model_dump_json())
    with pytest.raises(SettingsInvalid, match="no tokenizer"):
        probe({"kind": "rename"}, path=folder)


def test_missing_or_damaged_records_and_a_stop_end_the_job(
    probe: Callable[..., JobResult], tmp_path: Path, records: Path
) -> None:
    with pytest.raises(DataInvalid, match="collect run with pairs"):
        probe({"kind": "pairs", "data": tmp_path})
    with pytest.raises(Interrupted):
        probe({"kind": "rename"}, stop=lambda: True)
    assert read_openings(tmp_path) == []
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for name in ("settings.json", "tokenizer"):
        (damaged / name).symlink_to(records / name)
    (damaged / "test.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(DataInvalid, match=r"test\.jsonl:1"):
        probe({"kind": "rename"}, path=damaged)
