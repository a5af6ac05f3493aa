"""Generated findings: what the labels depend on and what they do not, and that the reader takes them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from models.data.finding_baselines import scores_of
from models.data.finding_templates import CONTEXT_LINES, FALSE_WORDS, SMELLS, TECHNOLOGIES, TRUE_WORDS
from models.data.findings_folder import FindingsFolder, read_folder
from models.data.findings_splits import separate
from models.data.generated_findings import FAMILY_SIZE, family, write_sample
from models.errors import SettingsInvalid

NUM_FAMILIES = 180
# Bytes of the default sample: they must not change by accident, nor with Python's version or hash seed.
DEFAULT_TRAIN_SHA256 = "54e48b6fc0da5c8f20ea4c1efdd9a996790b026105bf986bae051e9e38a31a4d"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("findings")
    write_sample(path)
    return path


@pytest.fixture(scope="module")
def findings(folder: Path) -> FindingsFolder:
    return read_folder(folder)


def words_of(lines: tuple[str, ...]) -> Counter[str]:
    return Counter(re.findall(r"\w+|[^\w\s]", "\n".join(lines)))


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_default_sample_has_the_promised_sizes_and_shares(findings: FindingsFolder) -> None:
    files = {name: file.findings for name, file in findings.files().items()}

    assert {name: len(found) for name, found in files.items()} == {
        "train": 1290, "val": 210, "test/ansible": 100, "test/chef": 100, "test/puppet": 100,
    }  # fmt: skip
    for name, found in files.items():
        assert sum(finding.label for finding in found) == 0.3 * len(found)
        assert {finding.smell for finding in found} == set(SMELLS)
        technologies = set(TECHNOLOGIES) if name in ("train", "val") else {name.removeprefix("test/")}
        assert {finding.technology for finding in found} == technologies


def test_rows_have_the_fields_of_the_published_sets_and_the_flagged_line_its_number(folder: Path) -> None:
    for row in rows_of(folder / "train.jsonl"):
        assert set(row) == {
            "smell", "file", "content", "line", "detection_span", "with_context", "label", "source", "tech",
            "in_combined",
        }  # fmt: skip
        numbered = [line for line in row["with_context"].split("\n") if re.match(r"\d+: ", line)]
        assert [line.partition(":")[0] for line in numbered] == [str(row["line"])]
        assert numbered[0].endswith(row["content"])
        assert row["detection_span"] == [row["line"] - CONTEXT_LINES, row["line"] + CONTEXT_LINES]


@pytest.mark.parametrize("number", range(0, NUM_FAMILIES, 7))
def test_a_family_shares_all_but_its_context(number: int) -> None:
    members = family(number)

    assert len(members) == FAMILY_SIZE
    assert Counter(member.label for member in members) == {"TP": 3, "FP": 7}
    assert len({(m.technology, m.smell, m.lines[CONTEXT_LINES]) for m in members}) == 1
    assert {len(member.lines) for member in members} == {2 * CONTEXT_LINES + 1}


@pytest.mark.parametrize("number", range(24))
def test_twins_have_the_same_words_in_another_order_and_the_other_label(number: int) -> None:
    members = family(number)
    for true, false in (members[0:2], members[2:4]):
        assert (true.label, false.label) == ("TP", "FP")
        assert words_of(true.lines) == words_of(false.lines)
        assert sum(a != b for a, b in zip(true.lines, false.lines, strict=True)) == 2


def test_the_nearest_telling_title_above_the_flagged_line_decides() -> None:
    """A second route to the labels, from the text alone."""
    telling = re.compile(rf"\b({'|'.join(TRUE_WORDS + FALSE_WORDS)})\b")
    for member in (member for number in range(NUM_FAMILIES) for member in family(number)):
        above = telling.findall("\n".join(member.lines[:CONTEXT_LINES]))
        assert above, member.lines
        assert member.label == ("TP" if above[-1] in TRUE_WORDS else "FP")
        assert not telling.search(member.lines[CONTEXT_LINES])


def test_neither_smell_nor_technology_nor_flagged_line_tells_anything(findings: FindingsFolder) -> None:
    scores = scores_of(findings.train.findings, findings.val.findings)

    for name in ("constant", "smell only", "technology only", "flagged line only"):
        assert scores[name].f1 == pytest.approx(2 * 0.3 / 1.3)  # as where every finding is called true
        assert scores[name].auroc == pytest.approx(0.5)
    assert 0.6 < scores["whole context"].auroc < 0.85  # words tell a part
    assert scores["whole context"].f1 < 0.7


def test_some_files_are_in_train_and_val_and_can_be_given_to_one(findings: FindingsFolder) -> None:
    done = separate(findings.train.findings, findings.val.findings, "regroup")

    assert done.report["files"] == 12
    assert len(done.val) == len(findings.val.findings)
    assert sum(finding.label for finding in done.val) == 63
    per_file = Counter(finding.group for file in findings.files().values() for finding in file.findings)
    assert set(per_file.values()) >= {1, 2, 3}


def test_bytes_depend_on_nothing_but_the_arguments_and_baselines_are_printed(folder: Path, tmp_path: Path) -> None:
    assert sha256((folder / "train.jsonl").read_bytes()).hexdigest() == DEFAULT_TRAIN_SHA256
    command = [sys.executable, "-m", "models.data.generated_findings", str(tmp_path)]
    command += ["--num-findings", "1800", "--seed", "7"]
    done = subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "123"}, capture_output=True)

    for path in folder.rglob("*.jsonl"):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes()
    assert re.findall(rb"^(\w[\w ]*?) +0\.\d{3}", done.stdout, re.MULTILINE) == [
        b"constant", b"smell only", b"technology only", b"flagged line only", b"whole context",
    ]  # fmt: skip


def test_another_seed_gives_other_findings_and_a_small_sample_is_still_whole(folder: Path, tmp_path: Path) -> None:
    write_sample(tmp_path, num_findings=120, seed=8)
    small = read_folder(tmp_path)

    assert sum(len(file.findings) for file in small.files().values()) == 120
    mine = {row["with_context"] for row in rows_of(tmp_path / "train.jsonl")}
    assert not mine & {row["with_context"] for row in rows_of(folder / "train.jsonl")}


@pytest.mark.parametrize("num_findings", [0, 110, 121, 1801])
def test_sizes_that_cannot_be_had_are_refused(tmp_path: Path, num_findings: int) -> None:
    with pytest.raises(SettingsInvalid, match=r"num_findings must be a multiple of 10 .* at least 120"):
        write_sample(tmp_path, num_findings=num_findings)
