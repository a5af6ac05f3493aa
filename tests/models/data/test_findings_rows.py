"""Rows and folders of findings as they are read, and each fault that ends a job before anything is trained."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.data.findings import EXPECTED, SMELLS, Finding, read_file, smell_of
from models.data.findings_folder import read_folder
from models.errors import DataInvalid

Row = dict[str, Any]
RowOf = Callable[..., Row]
WriteFindings = Callable[..., Path]


def written(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def without_path(findings: list[Finding]) -> list[Finding]:
    return [finding._replace(path=Path()) for finding in findings]


def fault_of(folder: Path) -> DataInvalid:
    with pytest.raises(DataInvalid) as caught:
        read_folder(folder)
    assert caught.value.exit_code == 2
    return caught.value


def test_a_row_is_read_whole(row_of: RowOf, tmp_path: Path) -> None:
    path = written(tmp_path / "train.jsonl", [row_of(3, in_combined=False)])
    (finding,) = read_file(path, "train").findings
    assert finding == Finding(
        path=path,
        row=1,
        split="train",
        smell="hard_coded_secret",
        technology="ansible",
        file="ansible-1.yml",
        line=13,
        window=(("- name: user 3", "  # kept by hand"), "  password: s3cret3", ("  state: present", "")),
        label=1,
        source="by hand",
        in_combined=False,
    )
    assert finding.group == "ansible/ansible-1.yml"


@pytest.mark.parametrize(
    ("smell", "name"),
    [(smell, name) for smell, others in SMELLS.items() for name in (smell, *others)]
    + [
        ("hard_coded_secret", "Hard-coded secret"),
        ("hard_coded_secret", "Hardcoded Secret"),
        ("suspicious_comment", "Suspicious comment"),
        ("use_of_http", "Use of HTTP without SSL/TLS"),
        ("use_of_http", "Use of HTTP without TLS"),
        ("weak_cryptography_algorithms", "Weak Crypto Algorithm"),
        ("weak_cryptography_algorithms", "Use of weak cryptography algorithms"),
    ],
)
def test_both_vocabularies_mean_one_smell(smell: str, name: str) -> None:
    assert smell_of(name) == smell_of(f" {name.upper()}. ") == smell


def test_no_name_means_two_smells_and_other_words_mean_none() -> None:
    names = [name for smell, others in SMELLS.items() for name in (smell, *others)]
    assert len(names) == len(set(names))
    assert smell_of("admin by default") is smell_of("") is smell_of("secret") is None


@pytest.mark.parametrize("field", EXPECTED)
def test_a_missing_field_is_told_by_name(field: str, row_of: RowOf, write_findings: WriteFindings) -> None:
    rows = [row_of(0), row_of(1), row_of(2)]
    del rows[1][field]
    fault = fault_of(write_findings({"val": rows}))
    assert f"val.jsonl:2: {field}: expected {EXPECTED[field]}; no such field" in str(fault)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label": "maybe"}, "label: expected TP (a true finding) or FP (a false alarm); found 'maybe'"),
        ({"label": "tp"}, "found 'tp'"),
        ({"label": 1}, "label: expected TP (a true finding) or FP (a false alarm); found 1"),
        ({"label": None}, "label: expected TP (a true finding) or FP (a false alarm); found None"),
        ({"smell": "admin_by_default"}, "smell: expected one of hard_coded_secret, suspicious_comment, use_of_http"),
        ({"line": "17"}, "line: expected its line number (a whole number from 1 up); found '17'"),
        ({"line": 0}, "line: expected its line number (a whole number from 1 up); found 0"),
        ({"line": True}, "line: expected its line number (a whole number from 1 up); found True"),
        ({"file": ""}, "file: expected the name of the file that was analysed (text, not empty); found ''"),
        ({"tech": "../chef"}, "tech: expected the technology (text, such as ansible); found '../chef'"),
        ({"in_combined": "yes"}, "in_combined: expected true or false; found 'yes'"),
        ({"content": 7}, "content: expected the flagged line (text); found 7"),
        ({"content": "user: root"}, "with_context: expected exactly one line that begins '12: '"),
        ({"line": 11}, "with_context: expected exactly one line that begins '11: '"),
        ({"with_context": ""}, "found 0"),
        ({"with_context": "12: password: s3cret2\n12: password: s3cret2"}, "found 2"),
    ],
)
def test_a_bad_value_is_told_with_file_line_key_and_what_was_expected(
    changes: Row, told: str, row_of: RowOf, write_findings: WriteFindings
) -> None:
    fault = fault_of(write_findings({"train": [row_of(0), row_of(1), row_of(2, **changes)]}))
    assert "train.jsonl:3: " in str(fault)
    assert told in str(fault)


def test_a_long_value_is_not_told_whole(row_of: RowOf, write_findings: WriteFindings) -> None:
    fault = fault_of(write_findings({"train": [row_of(0, label="x" * 10_000)]}))
    assert len(fault.problem) < 300


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"smell": "use_of', "broken JSON"),
        (b'{"smell": "\xff"}', "broken JSON"),
        (b"7", "not an object"),
        (b"[]", "not an object"),
    ],
)
def test_a_line_that_is_no_row_is_told_with_what_was_expected(
    line: bytes, told: str, row_of: RowOf, write_findings: WriteFindings
) -> None:
    fault = fault_of(write_findings({"test/chef": [row_of(60, "chef"), b"", line]}))
    assert f"chef.jsonl:3: {told}" in str(fault)
    assert "one finding each, with smell, file, content, line" in str(fault)


@pytest.mark.parametrize("rows", [[], [b"", b"  "]], ids=["no line", "blank lines"])
@pytest.mark.parametrize("name", ["train", "val", "test/chef"])
def test_an_empty_file_is_refused(name: str, rows: list[bytes], write_findings: WriteFindings) -> None:
    assert f"{name}.jsonl: holds no row; expected JSON lines" in str(fault_of(write_findings({name: rows})))


@pytest.mark.parametrize("name", ["train", "val"])
def test_a_missing_file_is_refused(name: str, write_findings: WriteFindings) -> None:
    fault = fault_of(write_findings({name: None}))
    assert re.search(
        rf"{name}\.jsonl: no such file, and no {name}\.jsonl\.gz; expected JSON lines, one finding", str(fault)
    )


def test_a_folder_without_test_sets_is_refused(write_findings: WriteFindings) -> None:
    fault = fault_of(write_findings({"test/ansible": None, "test/chef": None}))
    assert "holds no test set; expected TECHNOLOGY.jsonl" in str(fault)


def test_two_forms_of_one_set_are_refused(write_findings: WriteFindings) -> None:
    folder = write_findings()
    (folder / "test" / "chef.jsonl.gz").write_bytes(gzip.compress(b""))
    assert "chef.jsonl.gz is there too" in str(fault_of(folder))


def test_a_damaged_gzip_file_is_refused(write_findings: WriteFindings) -> None:
    folder = write_findings(suffix=".jsonl.gz")
    content = (folder / "val.jsonl.gz").read_bytes()
    (folder / "val.jsonl.gz").write_bytes(content[:-20])
    assert "val.jsonl.gz: the gzip file is damaged or cut off" in str(fault_of(folder))


def test_a_test_file_holds_the_technology_it_is_named_for(row_of: RowOf, write_findings: WriteFindings) -> None:
    rows = [row_of(60, "chef"), row_of(61, "chef"), row_of(62, "puppet")]
    fault = fault_of(write_findings({"test/chef": rows}))
    assert "chef.jsonl:3: tech: expected chef, as the file is named; found 'puppet'" in str(fault)


@pytest.mark.parametrize("name", ["train", "val"])
def test_a_technology_without_a_test_set_is_refused(name: str, row_of: RowOf, write_findings: WriteFindings) -> None:
    fault = fault_of(write_findings({name: [row_of(0), row_of(1), row_of(2, "terraform")]}))
    assert f"{name}.jsonl:3: tech: expected ansible or chef" in str(fault)
    assert "found 'terraform'" in str(fault)


@pytest.mark.parametrize("label", ["TP", "FP"])
@pytest.mark.parametrize("name", ["train", "val", "test/ansible"])
def test_a_set_with_one_label_is_refused(name: str, label: str, row_of: RowOf, write_findings: WriteFindings) -> None:
    fault = fault_of(write_findings({name: [row_of(80, label=label), row_of(81, label=label)]}))
    found = {"TP": "2 TP", "FP": "2 FP"}[label]
    assert f"{name}.jsonl: label: expected both TP and FP among the 2 rows of it; found" in str(fault)
    assert found in str(fault)


def test_a_combined_set_with_one_label_is_refused(row_of: RowOf, write_findings: WriteFindings) -> None:
    tests = {
        f"test/{tech}": [row_of(number, tech, in_combined=number % 2 == 0) for number in (90, 91)]
        for tech in ("ansible", "chef")
    }
    fault = fault_of(write_findings(tests))
    assert "label: expected both TP and FP among the 2 rows of the combined set (in_combined: true)" in str(fault)


@pytest.mark.parametrize(("name", "row"), [("train", 2), ("val", 20)])
def test_a_test_file_that_is_also_in_train_or_val_is_refused(
    name: str, row: int, row_of: RowOf, write_findings: WriteFindings
) -> None:
    seen = row_of(row)["file"]
    rows = [row_of(80), row_of(81), row_of(82, file=seen), row_of(83, file=seen)]
    fault = fault_of(write_findings({"test/ansible": rows}))
    assert re.search(rf"ansible\.jsonl:3: file: '{re.escape(seen)}' is in .*{name}\.jsonl:\d+, too", str(fault))
    assert "2 rows of test are of such files" in str(fault)
    assert "expected files that are neither in train nor in val" in str(fault)


def test_an_equal_name_in_another_technology_is_another_file(row_of: RowOf, write_findings: WriteFindings) -> None:
    rows = [row_of(number, "chef", file=row_of(number)["file"]) for number in (20, 21)]
    assert len(read_folder(write_findings({"test/chef": rows})).test["chef"].findings) == 2


@pytest.mark.parametrize(
    "changes", [{"label": "TP"}, {"with_context": "10: password: s3cret0"}], ids=lambda c: next(iter(c))
)
def test_two_rows_on_one_finding_that_disagree_are_refused(
    changes: Row, row_of: RowOf, write_findings: WriteFindings
) -> None:
    key = next(iter(changes))
    inside = {"train": [row_of(0), row_of(1), row_of(0, **changes)]}
    fault = fault_of(write_findings(inside, folder="inside"))
    assert re.search(
        rf"train\.jsonl:3: {key}: hard_coded_secret in line 10 of ansible-0\.yml .*train\.jsonl:1", str(fault)
    )

    across = {"train": [row_of(0), row_of(1)], "val": [row_of(20), row_of(21), row_of(0, **changes)]}
    fault = fault_of(write_findings(across, folder="across"))
    assert re.search(rf"val\.jsonl:3: {key}: .*train\.jsonl:1", str(fault))


def test_copies_are_left_out_and_the_others_keep_their_order(row_of: RowOf, tmp_path: Path) -> None:
    rows = [row_of(0), row_of(1), row_of(0, smell="Hard-coded secret"), row_of(2), row_of(1, source="another one")]
    file = read_file(written(tmp_path / "train.jsonl", rows), "train")
    assert [finding.row for finding in file.findings] == [1, 2, 4]
    assert file.num_copies == 2


def test_gzip_equals_plain(write_findings: WriteFindings) -> None:
    plain = read_folder(write_findings(folder="plain")).files()
    packed = read_folder(write_findings(suffix=".jsonl.gz", folder="packed")).files()
    assert list(plain) == list(packed) == ["train", "val", "test/ansible", "test/chef"]
    for name, file in plain.items():
        assert without_path(file.findings) == without_path(packed[name].findings)
        assert file.sha256 != packed[name].sha256


def test_order_of_keys_other_fields_and_blank_lines_do_not_matter(row_of: RowOf, tmp_path: Path) -> None:
    rows = [row_of(0), row_of(1)]
    others = [dict(reversed((row | {"detection_span": [1, 2]}).items())) for row in rows]
    expected = read_file(written(tmp_path / "a.jsonl", rows), "val").findings
    path = written(tmp_path / "b.jsonl", others)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + b"\n\n")
    assert without_path(read_file(path, "val").findings) == without_path(expected)
