"""The benchmark of cutting measures what it says, on a size too small for any verdict."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from benchmarks.cutting import measure, read_sources
from models.settings.languages import LANGUAGES


def test_without_data_all_languages_are_generated() -> None:
    sources = read_sources(None, 10**6)
    assert tuple(sources) == LANGUAGES
    assert all(len(contents) > 20 for contents in sources.values())
    few = read_sources(None, 2000)
    assert all(sum(map(len, contents)) <= 2000 for contents in few.values())


def test_rosetta_is_read_by_its_languages(tmp_path: Path) -> None:
    rows = [{"lang": "C++", "code": "int f() { return 1; }"}, {"lang": "Perl", "code": "1;"}]
    with gzip.open(tmp_path / "solutions.jsonl.gz", "wt", encoding="utf-8") as stream:
        stream.write("".join(json.dumps(row) + "\n" for row in rows))
    assert read_sources(tmp_path / "solutions.jsonl.gz", 1000) == {"cpp": [b"int f() { return 1; }"]}


def test_what_is_measured() -> None:
    rates = measure("c", [b"int f(void) { return 1; }\n" * 2, b"int g(void) { return 1 }\n"], turns=1)
    assert (rates.num_files, rates.num_bytes, rates.num_functions) == (2, 77, 3)
    assert 0.3 < rates.broken_share < 0.35
    assert rates.parsing_seconds > 0
    assert rates.cutting_seconds > 0
    assert "3 functions,  32% broken" in str(rates)
