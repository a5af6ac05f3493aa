"""Token ids, and offsets that index the raw code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from models.data.tokens import SafeTokenizer, TokenSequence, _sequence, in_raw_text

WHITESPACE = [" ", "  ", "\n", "\n\n", "\t", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u00a0", "\u2003", "\u3000"]
WORDS = [
    "int", "x", "strcpy", "(", ")", "->", "a1", "0x1F", "'s", "'", "don't", "//", "é", "naïve", "名前", "🙂", "e\u0301",
    "<s>", "</s>", "<mask>", "\u200b", "\u180e", "\ufeff", "~", "\x01", "\x7f", ";;", "{", "}", "a_b",
]  # fmt: skip
CODE = st.lists(st.sampled_from(WHITESPACE + WORDS) | st.text(max_size=3), max_size=30).map("".join)
ASCII_CODE = st.lists(
    st.sampled_from([part for part in WHITESPACE + WORDS if part.isascii()])
    | st.text(st.characters(max_codepoint=127), max_size=4),
    max_size=30,
).map("".join)
SHARED_FIXTURE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)


def byte_of_letter() -> dict[str, int]:
    """GPT-2's alphabet: printable bytes stand for themselves, the others follow from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + at): byte for at, byte in enumerate(others)}


BYTE_OF_LETTER = byte_of_letter()


def surfaces(tokenizer: Tokenizer, sequence: TokenSequence) -> list[bytes]:
    """The bytes that each token stands for."""
    names = (tokenizer.id_to_token(token) for token in sequence.ids.tolist())
    return [bytes(BYTE_OF_LETTER[letter] for letter in name) for name in names]


def assert_in_order_and_inside(sequence: TokenSequence, code: str) -> None:
    begins, ends = sequence.offsets[:, 0], sequence.offsets[:, 1]
    assert (begins <= ends).all()
    assert (np.diff(begins) >= 0).all()
    assert (np.diff(ends) >= 0).all()
    assert not len(ends) or (begins[0] >= 0 and ends[-1] <= len(code))


@SHARED_FIXTURE
@given(code=CODE)
def test_each_token_is_what_its_offsets_show_of_the_raw_code(tokenizer: Tokenizer, code: str) -> None:
    sequence = SafeTokenizer(tokenizer).tokenize(code)
    surface_bytes = surfaces(tokenizer, sequence)

    assert b"".join(surface_bytes) == " ".join(code.split()).encode()
    assert_in_order_and_inside(sequence, code)
    for surface, (begin, end) in zip(surface_bytes, sequence.offsets.tolist(), strict=True):
        shown = code[begin:end]
        assert shown == shown.strip()
        try:
            assert surface.decode().strip(" ") == shown
        except UnicodeDecodeError:  # part of a character: the offsets show the whole of it
            assert surface.strip(b" ") in shown.encode()


@SHARED_FIXTURE
@given(code=CODE)
def test_without_collapsing_offsets_show_the_token_too(tokenizer: Tokenizer, code: str) -> None:
    sequence = SafeTokenizer(tokenizer, collapse_whitespace=False).tokenize(code)

    assert b"".join(surfaces(tokenizer, sequence)) == code.encode()
    assert_in_order_and_inside(sequence, code)
    for surface, (begin, end) in zip(surfaces(tokenizer, sequence), sequence.offsets.tolist(), strict=True):
        assert surface.strip() in code[begin:end].encode()


@SHARED_FIXTURE
@given(codes=st.lists(ASCII_CODE, max_size=4))
def test_looking_pieces_up_gives_what_the_library_gives(tokenizer: Tokenizer, codes: list[str]) -> None:
    fast = SafeTokenizer(tokenizer)
    assert fast._pieces is not None

    for sequence, code in zip(fast.tokenize_batch(codes), codes, strict=True):
        (encoding,) = fast._encode([" ".join(code.split())])
        expected = in_raw_text(_sequence(encoding), code)
        assert sequence.ids.tolist() == expected.ids.tolist()
        assert sequence.offsets.tolist() == expected.offsets.tolist()


def test_a_table_that_is_full_begins_anew_with_the_same_answers(
    tokenizer: Tokenizer, functions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = SafeTokenizer(tokenizer).tokenize_batch(functions)
    monkeypatch.setattr("models.data.tokens.MAX_PIECES", 10)
    small = SafeTokenizer(tokenizer)

    found = [small.tokenize(code) for code in functions]

    assert small._pieces is not None
    assert len(small._pieces._numbers) < 150
    assert [each.ids.tolist() for each in found] == [each.ids.tolist() for each in expected]


@SHARED_FIXTURE
@given(code=CODE)
def test_other_kinds_of_tokenizer_get_raw_offsets_too(code: str) -> None:
    other = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    other.normalizer = normalizers.Lowercase()
    other.pre_tokenizer = pre_tokenizers.WhitespaceSplit()

    sequence = SafeTokenizer(other).tokenize(code)

    assert_in_order_and_inside(sequence, code)
    shown = [code[begin:end] for begin, end in sequence.offsets.tolist()]
    assert "".join(shown) == "".join(code.split())


def test_text_that_spells_a_special_token_stays_text(tokenizer: Tokenizer) -> None:
    safe = SafeTokenizer(tokenizer)

    for code in ("a </s> b", "é </s> b"):  # looked up, and by the library
        assert not set(safe.tokenize(code).ids.tolist()) & {0, 1, 2, 3, 4}


def test_an_added_token_is_found_as_the_library_finds_it(tokenizer: Tokenizer) -> None:
    extended = Tokenizer.from_str(tokenizer.to_str())
    extended.add_tokens(["->"])

    names = [extended.id_to_token(token) for token in SafeTokenizer(extended).tokenize("a->b").ids.tolist()]

    assert "->" in names


def test_special_tokens_go_around_the_text_and_may_be_none(tokenizer: Tokenizer) -> None:
    plain = Tokenizer(models.WordLevel({"x": 0}, unk_token="x"))

    safe = SafeTokenizer(tokenizer)
    assert (safe.prefix.tolist(), safe.suffix.tolist()) == ([0], [2])
    bare = SafeTokenizer(plain)
    assert (bare.prefix.tolist(), bare.suffix.tolist()) == ([], [])
