"""docs/faults.md holds the table that the tests try, word by word."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parents[4] / "docs" / "faults.md"
HEADINGS = {
    "test_disk.py": "On a disk",
    "test_refusals.py": "A disk that refuses",
    "test_writers.py": "Two writers, signals",
    "test_s3.py": "In S3",
    "test_outages.py": "S3 away, clocks",
}


def table(faults) -> str:
    lines = ["| Fault | Recovers | Intervals trained again | Bad bytes loaded |", "|---|---|---|---|"]
    lines += [f"| {fault} | {fault.recovers} | {fault.lost} | 0 |" for fault in faults]
    return "\n".join(lines)


def written(fault_table) -> str:
    return "\n\n".join(f"## {HEADINGS[file]}\n\n{table(faults)}" for file, faults in fault_table.items())


def test_the_page_holds_the_table(fault_table):
    assert PAGE.read_text(encoding="utf-8").partition("\n## On a disk\n")[2].strip() == (
        written(fault_table).partition("## On a disk\n")[2].strip()
    ), f"docs/faults.md and the rows of {', '.join(fault_table)} differ; it should end in\n\n{written(fault_table)}"


def test_no_two_rows_have_one_name(fault_table):
    names = [fault.name for faults in fault_table.values() for fault in faults]
    assert len(names) == len(set(names))
