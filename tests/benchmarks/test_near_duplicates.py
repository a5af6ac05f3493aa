"""The benchmark of the near-duplicate search measures what it says, on a size too small for any verdict."""

from __future__ import annotations

from benchmarks.near_duplicates import functions, measure_peers, measure_search


def test_functions_are_mostly_no_copies_of_each_other() -> None:
    assert len(set(functions(400))) == 400

    measured = measure_search(400)

    assert measured["num_functions"] == 400
    assert 0 < measured["exact_pairs"] < 20
    assert 20 < measured["near_pairs"] < 120


def test_all_forms_of_the_library_are_timed() -> None:
    measured = measure_peers(300)

    assert measured["num_shingles"] > 300 * 20
    assert set(measured["seconds"]) == {"strings", "strings in bulk", "hashes, read", "hashes", "tokens"}
    assert all(seconds > 0 for seconds in measured["seconds"].values())
