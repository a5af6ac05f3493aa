"""Texts and pairs for the comparisons of encoders: generated functions, in the form of a pairs run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from models.data.generated import twin_functions
from models.data.retrieval.text_pairs import TextPair, pair_line
from models.data.retrieval.text_records import NamedText, TextMaker, TextReport
from models.data.tokenizer_files import save_tokenizer, train_tokenizer
from models.data.tokens import SafeTokenizer
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.store.manifest import write_manifest

VOCAB_SIZE = 6000
MAX_SEQ_LEN = 512
MAX_PIECES = 6
NUM_PIECES = 3000


def generated_texts(num_texts: int, seed: int = 0) -> list[str]:
    """Functions in a row, one to six: lengths scatter as those of real files do."""
    random = np.random.default_rng(seed)
    pieces = [text for pair in range(NUM_PIECES // 2) for text in twin_functions(pair)[1:]]
    sizes = random.integers(1, MAX_PIECES + 1, size=num_texts)
    return ["\n".join(pieces[at] for at in random.integers(len(pieces), size=size)) for size in sizes]


def write_texts(folder: Path, texts: list[str]) -> None:
    """Leave ``texts.jsonl``, its tokenizer, and ``train_pairs.jsonl`` and ``valid_pairs.jsonl`` of neighbours.

    The last eighth of the pairs is for validation. The manifest says that the folder is finished.
    """
    folder.mkdir(parents=True)
    content = train_tokenizer(texts[:2000], VOCAB_SIZE).to_str()
    save_tokenizer(content, folder / TOKENIZER_FOLDER)
    tokenizer = SafeTokenizer(Tokenizer.from_str(content), collapse_whitespace=False)
    named = [
        NamedText(f"t{at}", f"g{at // 2}", text, "c", None, {"match": f"m{at // 2}", "split": "train", "project": ""})
        for at, text in enumerate(texts)
    ]
    (folder / "texts.jsonl").write_bytes(TextMaker(tokenizer, MAX_SEQ_LEN).make(named, TextReport()).lines)
    lines = [
        pair_line(TextPair(f"p{at}", f"t{at}", f"t{at + 1}", f"m{at // 2}", f"g{at // 2}"))
        for at in range(0, len(texts) - 1, 2)
    ]
    num_train = len(lines) - len(lines) // 8
    (folder / "train_pairs.jsonl").write_bytes(b"".join(lines[:num_train]))
    (folder / "valid_pairs.jsonl").write_bytes(b"".join(lines[num_train:]))
    files = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*")) if path.is_file()]
    write_manifest(folder, files, kind="pairs", run_key="generated", build_key="generated")
