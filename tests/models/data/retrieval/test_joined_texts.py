from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, processors

from models.data.retrieval.joined_texts import JoinedTexts, pair_form
from models.data.token_batches import SpecialTokens
from models.data.tokenizer_files import save_tokenizer
from models.errors import SettingsInvalid

BEGIN, END, PAD = 0, 2, 1
ENTRIES = {"<s>": BEGIN, "<pad>": PAD, "</s>": END, "x": 3}
FORMS: dict[str, Any] = {
    "roberta": processors.RobertaProcessing(("</s>", END), ("<s>", BEGIN)),
    "bert": processors.BertProcessing(("</s>", END), ("<s>", BEGIN)),
    "none": None,
}


def save_form(name: str, folder: Path) -> Path:
    tokenizer = Tokenizer(models.BPE(ENTRIES, []))
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>"])
    if FORMS[name] is not None:
        tokenizer.post_processor = FORMS[name]
    save_tokenizer(tokenizer.to_str(), folder)
    return folder


@pytest.fixture(scope="module")
def roberta(tmp_path_factory) -> Path:
    return save_form("roberta", tmp_path_factory.mktemp("tokenizer"))


def texts_of(bodies: list[list[int]], folder: Path) -> Any:
    records = [[BEGIN, *body, END] for body in bodies]
    table = SimpleNamespace(
        token_ids=np.array([token for record in records for token in record], np.int32),
        token_ptr=np.cumsum([0, *map(len, records)]).astype(np.int64),
    )
    special = SpecialTokens(np.array([BEGIN], np.int32), np.array([END], np.int32), PAD)
    return SimpleNamespace(table=table, tokenizer=SimpleNamespace(folder=folder, eos=END, special=special))


def joined_plainly(first: list[int], second: list[int], max_seq_len: int) -> list[int]:
    """Tokens go one by one from the end of a text that has more than its half, of the second one where both have."""
    first, second, room = list(first), list(second), max_seq_len - 4
    while len(first) + len(second) > room:
        over = second if len(second) > room // 2 else first
        over.pop()
    return [BEGIN, *first, END, END, *second, END]


@given(
    sizes=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=6),
    max_seq_len=st.integers(6, 50),
)
def test_joined_as_a_plain_loop_joins_them(sizes: list[tuple[int, int]], max_seq_len: int, roberta: Path):
    bodies = [list(range(100 * at, 100 * at + size)) for at, size in enumerate([s for pair in sizes for s in pair], 1)]
    joined = JoinedTexts(texts_of(bodies, roberta), max_seq_len)
    firsts = np.arange(0, len(bodies), 2)
    batch = joined.batch(firsts, firsts + 1)
    expected = [joined_plainly(bodies[at], bodies[at + 1], max_seq_len) for at in firsts.tolist()]
    longest = max(map(len, expected))
    assert batch.ids_WT.tolist() == [[*row, *[PAD] * (longest - len(row))] for row in expected]
    assert joined.lengths(firsts, firsts + 1).tolist() == list(map(len, expected))
    assert joined.cost(firsts, firsts + 1) == batch.ids_WT.numel()
    mask = np.ones(batch.ids_WT.shape, bool) if batch.mask_WT is None else batch.mask_WT.numpy()
    assert mask.sum(axis=1).tolist() == list(map(len, expected))
    for row, at in zip(expected, firsts.tolist(), strict=True):
        whole = len(bodies[at]) + len(bodies[at + 1])
        assert len(row) == min(max_seq_len, whole + 4)  # no room is wasted


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("roberta", ([BEGIN], [END, END], [END])),
        ("bert", ([BEGIN], [END], [END])),
        ("none", ([], [END], [])),
    ],
)
def test_the_form_is_the_tokenizers_own(form: str, expected: tuple[list[int], ...], tmp_path: Path):
    assert tuple(pair_form(save_form(form, tmp_path / form), END)) == expected


def test_one_text_may_be_joined_with_many(roberta: Path):
    joined = JoinedTexts(texts_of([[5], [6, 7], []], roberta), 10)
    rows = joined.batch(np.array([0, 0, 1]), np.array([1, 2, 0])).ids_WT.tolist()
    assert rows == [
        [BEGIN, 5, END, END, 6, 7, END],
        [BEGIN, 5, END, END, END, PAD, PAD],
        [BEGIN, 6, 7, END, END, 5, END],
    ]


def test_no_room_is_refused(roberta: Path):
    with pytest.raises(SettingsInvalid, match="max_seq_len=5 leaves no room for two texts beside 4 special"):
        JoinedTexts(texts_of([[5]], roberta), 5)
