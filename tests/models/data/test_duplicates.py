"""Two routes: datasketch's MinHash and exact Jaccard similarity of Python sets stand against ours."""

from __future__ import annotations

import random
import re
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.duplicates import DuplicateSearch
from models.data.generated import twin_functions
from models.data.joined_groups import joined_groups
from models.data.minhash import (
    MAX_BUCKET_GAP,
    _band_keys,
    _bucket_pairs,
    band_shape,
    shingle_hashes,
    signatures_of,
    similar_pairs,
    token_hashes,
)

COMMENT = re.compile(r'/\*.*?(?:\*/|\Z)|//[^\n]*|("(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\')', re.DOTALL)


def reference_tokens(code: str) -> list[str]:
    return re.findall(r"[A-Za-z0-9_\u0080-\U0010ffff]+|[^\s\x00-\x20\x7f]", COMMENT.sub(r" \1", code))


def reference_shingles(code: str) -> set[tuple[str, ...]]:
    tokens = reference_tokens(code)
    return set(zip(tokens, tokens[1:], tokens[2:], strict=False))


def jaccard(a: set[Any], b: set[Any]) -> float:
    return len(a & b) / len(a | b) if a | b else 0.0


def changed(code: str, num_changes: int, seed: int) -> str:
    draw = random.Random(seed)
    words = re.split(r"(\W)", code)
    for _ in range(num_changes):
        words[draw.randrange(len(words) // 2) * 2] = f"changed{draw.randrange(10**6)}"
    return "".join(words)


@pytest.fixture(scope="module")
def codes() -> list[str]:
    originals = [twin_functions(pair)[1] for pair in range(60)]
    return originals + [changed(code, at % 14, at) for at, code in enumerate(originals)]


C_LIKE = st.text(alphabet="ab_1 \n\t(;+\"'/*\\é", max_size=60)


@given(st.lists(C_LIKE, max_size=6))
@settings(max_examples=300)
def test_tokens_and_shingles_are_those_of_a_plain_tokeniser(texts: list[str]) -> None:
    from models.data.minhash import _without_comments

    hashes, pointer = token_hashes([_without_comments(text) for text in texts])
    shingles, shingle_pointer = shingle_hashes(hashes, pointer)

    name_of: dict[int, str] = {}
    for row, text in enumerate(texts):
        expected = reference_tokens(text)
        mine = hashes[pointer[row] : pointer[row + 1]].tolist()
        assert len(mine) == len(expected)
        assert all(name_of.setdefault(value, token) == token for value, token in zip(mine, expected, strict=True))
        own_shingles = shingles[shingle_pointer[row] : shingle_pointer[row + 1]]
        assert len(set(own_shingles.tolist())) == len(reference_shingles(text))
    assert len(name_of) == len({token for text in texts for token in reference_tokens(text)})


def test_estimates_are_as_good_as_those_of_datasketch(codes: list[str]) -> None:
    signatures = signatures_of(codes, 128).signatures
    truth = [reference_shingles(code) for code in codes]
    sketches = []
    for shingles in truth:
        sketch = MinHash(num_perm=128, seed=1)
        sketch.update_batch([" ".join(shingle).encode() for shingle in shingles])
        sketches.append(sketch)

    ours, theirs = [], []
    for at in range(60):
        expected = jaccard(truth[at], truth[at + 60])
        ours.append((signatures[at] == signatures[at + 60]).mean() - expected)
        theirs.append(sketches[at].jaccard(sketches[at + 60]) - expected)

    assert abs(np.mean(ours)) < 0.02
    assert np.sqrt(np.mean(np.square(ours))) < 1.5 * np.sqrt(np.mean(np.square(theirs)))


@pytest.mark.parametrize("similarity", [0.5, 0.7, 0.9])
def test_banding_finds_the_pairs_that_comparing_all_signatures_finds(codes: list[str], similarity: float) -> None:
    signatures = signatures_of(codes, 128).signatures
    every = {
        (a, b) for a, b in combinations(range(len(codes)), 2) if (signatures[a] == signatures[b]).mean() >= similarity
    }

    pairs = similar_pairs(signatures, similarity)

    found = set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))
    assert found <= every
    assert len(found) >= 0.95 * len(every) > 10
    assert pairs.num_cut_buckets == 0


@given(st.floats(0.05, 1.0), st.sampled_from([16, 64, 128, 256]))
def test_bands_fit_the_signature_and_keep_the_recall_where_they_can(similarity: float, num_permutations: int) -> None:
    bands, rows = band_shape(similarity, num_permutations)

    assert 1 <= bands * rows <= num_permutations
    assert rows == 1 or 1 - (1 - similarity**rows) ** bands >= 0.98


def search_of(*rows: tuple[str, str, int, str]) -> dict[str, Any]:
    search = DuplicateSearch(0.7)
    for split, record_id, label, code in rows:
        search.add(split, record_id, f"group-{record_id}", label, code)
    return search.report()


def test_report_counts_copies_near_copies_and_their_labels() -> None:
    a, b = twin_functions(0)[1], twin_functions(1)[1]
    reformatted = "/* c */ " + a.replace("\n", "\n\n  ").replace("(", " ( ") + "// end"
    near = changed(a, 2, 5)

    report = search_of(
        ("train", "a", 0, a),
        ("train", "a2", 1, reformatted),
        ("train", "b", 0, b),
        ("valid", "b2", 0, b),
        ("test", "a3", 0, a),
        ("test", "n", 1, near),
    )

    assert report["num_records"] == {"train": 3, "valid": 1, "test": 2}
    assert report["num_distinct"] == 3
    assert report["exact"]["within"]["train"] == {"pairs": 1, "same_label": 0, "other_label": 1}
    assert report["exact"]["across"]["train/valid"] == {"pairs": 1, "same_label": 1, "other_label": 0}
    assert report["exact"]["across"]["train/test"] == {"pairs": 2, "same_label": 1, "other_label": 1}
    assert report["near"]["across"]["train/test"] == {"pairs": 2, "same_label": 1, "other_label": 1}
    assert report["near"]["within"]["test"] == {"pairs": 1, "same_label": 0, "other_label": 1}
    assert report["with_twin_in_train"] == {
        "valid": {"exact": 1, "near": 0, "either": 1},
        "test": {"exact": 1, "near": 1, "either": 2},
    }
    assert report["label_agreement"] == {"exact": 0.5, "near": 0.3333, "all": 0.4286}
    assert report["complete"]
    first = report["samples"][0]
    assert first["kind"] == "exact"
    assert first["similarity"] == 1.0
    assert set(first["splits"]) > {"train"}


def test_counts_are_those_of_comparing_every_pair(codes: list[str]) -> None:
    draw = random.Random(3)
    rows = [(draw.choice(["train", "valid", "test"]), draw.randrange(2), code) for code in codes + codes[:30]]
    texts = [tuple(reference_tokens(code)) for _, _, code in rows]
    signatures = signatures_of([code for _, _, code in rows], 128).signatures
    expected = {"exact": 0, "near": 0, "other_label": 0}
    for a, b in combinations(range(len(rows)), 2):
        kind = "exact" if texts[a] == texts[b] else "near"
        if kind == "exact" or (signatures[a] == signatures[b]).mean() >= 0.7:
            expected[kind] += 1
            expected["other_label"] += rows[a][1] != rows[b][1]

    report = search_of(*((split, str(at), label, code) for at, (split, label, code) in enumerate(rows)))

    tables = [entry for kind in ("exact", "near") for place in report[kind].values() for entry in place.values()]
    for kind in ("exact", "near"):
        assert sum(e["pairs"] for place in report[kind].values() for e in place.values()) == expected[kind] > 0
    assert sum(entry["other_label"] for entry in tables) == expected["other_label"]
    assert all(entry["same_label"] + entry["other_label"] == entry["pairs"] for entry in tables)


def test_short_functions_take_part_in_the_exact_search_only() -> None:
    report = search_of(
        ("train", "a", 0, "int f(void) { return 1; }"),
        ("test", "b", 0, "int f(void)\n{ return 1; /* one */ }"),
        ("test", "c", 0, "int f(void) { return 2; }"),
    )

    assert report["num_short"] == {"train": 1, "test": 2}
    assert report["exact"]["across"]["train/test"]["pairs"] == 1
    assert report["near"]["across"]["train/test"]["pairs"] == 0


def test_text_in_a_string_is_no_comment_and_no_whitespace_joins_words() -> None:
    base = 'int f(char *s) { puts("%s"); puts("more words here"); return g(s, s, s, s); }'

    report = search_of(
        ("train", "a", 0, base.replace("%s", "http://a")),
        ("train", "b", 0, base.replace("%s", "http://b")),
        ("train", "c", 0, base.replace("int f", "intf")),
    )

    assert report["exact"]["within"]["train"]["pairs"] == 0


def test_report_does_not_depend_on_how_many_functions_are_digested_at_once(
    codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [("train" if at % 3 else "test", str(at), at % 2, code) for at, code in enumerate(codes)]
    whole = search_of(*rows)
    monkeypatch.setattr("models.data.duplicates.BATCH_BYTES", 700)
    monkeypatch.setattr("models.data.duplicates.BATCHES_PER_BLOCK", 7)
    monkeypatch.setattr("models.data.minhash.KEY_CHUNK", 11)
    monkeypatch.setattr("models.data.minhash.VERIFY_CHUNK", 3)
    monkeypatch.setattr("models.data.minhash.MAX_UNSORTED_PAIRS", 5)
    assert search_of(*rows) == whole


def test_a_source_of_near_copies_stays_linear_and_says_that_pairs_were_left_out() -> None:
    base = twin_functions(0)[1]
    num_copies = 8 * MAX_BUCKET_GAP

    report = search_of(*(("train", str(at), 0, changed(base, 1, at)) for at in range(num_copies)))

    pairs = report["near"]["within"]["train"]["pairs"]
    assert not report["complete"]
    assert report["num_cut_buckets"] > 0
    assert num_copies <= pairs < num_copies * (num_copies - 1) / 2


def test_nothing_added_gives_an_empty_report() -> None:
    report = DuplicateSearch(0.7).report()

    assert report["num_records"] == {}
    assert report["label_agreement"]["all"] is None
    assert report["samples"] == []


@pytest.mark.parametrize("code", ["", "\x00\x00", "\ud800", "{" * 10_000, "/* never closed", '"never closed'])
def test_strange_text_is_digested(code: str) -> None:
    report = search_of(("train", "a", 0, code), ("train", "b", 1, code), ("train", "c", 1, twin_functions(0)[1]))

    assert report["exact"]["within"]["train"] == {"pairs": 1, "same_label": 0, "other_label": 1}


def test_clusters_join_copies_through_others_and_leave_the_rest_alone() -> None:
    body = [f"  total_{n} = source_{n}[{n}] + weight_{n};" for n in range(60)]
    near = ["\n".join(body[first : first + 50]) for first in (0, 4, 8)]  # the first and the last are less alike
    rows = [
        *(("train", name, 0, code) for name, code in zip("abc", near, strict=True)),
        ("train", "d", 0, "short();"),
        ("test", "e", 1, "short ( ) ;"),
        ("test", "f", 1, twin_functions(0)[1]),
        ("test", "g", 1, near[2]),
    ]
    first_and_last = DuplicateSearch(0.75)
    search = DuplicateSearch(0.75)
    for split, name, label, code in rows:
        search.add(split, name, name, label, code)
        if name in "ac":
            first_and_last.add(split, name, name, label, code)

    assert first_and_last.clusters() == {}
    assert search.clusters() == {"a": "a", "b": "a", "c": "a", "g": "a", "d": "d", "e": "d"}
    assert DuplicateSearch(0.75).clusters() == {}


def test_links_connect_all_copies_by_row_numbers() -> None:
    a, b, c = (twin_functions(pair)[1] for pair in range(3))
    search = DuplicateSearch(0.7)
    for name, code in enumerate([a, "f();", b, changed(a, 2, 5), a, "f ( ) ;", c, changed(a, 2, 5), changed(b, 1, 1)]):
        search.add("train", str(name), "", 0, code)

    links = search.links()

    assert sorted(links.exact) == [(0, 4), (1, 5), (3, 7)]
    assert sorted(links.near) == [(0, 3), (2, 8)]
    assert links.complete
    first_of = joined_groups(9, [*links.exact, *links.near])
    assert search.clusters() == {str(row): str(first) for row, first in enumerate(first_of) if row != 6}
    assert DuplicateSearch(0.7).links() == ([], [], True)


def test_links_tell_when_pairs_were_left_out_and_still_connect_a_bucket() -> None:
    search = DuplicateSearch(0.7)
    base = twin_functions(0)[1]
    for at in range(4 * MAX_BUCKET_GAP):
        search.add("train", str(at), "", 0, changed(base, 1, at))

    assert not search.links().complete
    assert set(search.clusters().values()) == {"0"}


@given(st.lists(st.integers(0, 4), max_size=120), st.integers(0, 2**32 - 1))
def test_buckets_hold_the_rows_that_are_equal_in_a_band(values: list[int], other: int) -> None:
    signatures = np.full((len(values), 16), other, np.uint32)
    signatures[:, :8] = np.array(values, np.uint32)[:, None]
    rows_of = {value: [row for row, own in enumerate(values) if own == value] for value in set(values)}
    expected = {
        (rows[a], rows[a + gap])
        for rows in rows_of.values()
        for a in range(len(rows))
        for gap in range(1, min(MAX_BUCKET_GAP, len(rows) - a - 1) + 1)
    }

    first_band, second_band = (band.copy() for band in _band_keys(signatures, 2, 8))

    pairs, num_cut = _bucket_pairs(first_band)
    assert {tuple(divmod(pair, len(values))) for pair in pairs.tolist()} == expected
    assert num_cut == sum(len(rows) > MAX_BUCKET_GAP + 1 for rows in rows_of.values())
    assert _bucket_pairs(second_band)[1] == (len(values) > MAX_BUCKET_GAP + 1)


def test_digests_tell_texts_apart_by_the_order_of_their_tokens() -> None:
    words = ["alpha", "beta", "gamma", "(", "7"]
    texts = [" ".join(order) for length in range(5) for order in permutations(words, length)]
    texts += [" ".join(["a"] * count) for count in range(1, 200)]

    assert len(set(signatures_of(texts, 16).digests)) == len(texts)
    assert signatures_of(texts[50:60], 16).digests == signatures_of(texts, 16).digests[50:60]
