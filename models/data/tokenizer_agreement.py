"""Whether the tokenizer of the records is the backbone's: whether both make the same ids of the same code.

Where a backbone comes from is in ``backbone_files.py``, where tokenizers come from in ``tokenizer_files.py``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models.data.backbone_files import BackboneFiles
from models.data.tokenizer_files import TOKENIZER_FILE, init_safe_tokenizer
from models.errors import SettingsInvalid

if TYPE_CHECKING:
    from tokenizers import Tokenizer

PROBES = (
    "int main(void) { return 0; }",
    'static char *Name_2(const unsigned char *s, size_t n)\n{\n\tif (!s || n <= 0x7fUL)\n\t\treturn "a\\n%d";\n}',
    "for (i = 0; i < len; i++) buf[i] ^= ~(mask >> 3) & 0xFFu;  /* déjà vu, 中文 */",
)
"""What two tokenizers must read alike to be taken for the same."""


def check_tokenizer(files: BackboneFiles, records_tokenizer: Path) -> None:
    """Check that the tokenizer of the records is the backbone's: the same ids for the same code.

    Tokens that only one of them has (fillers, markers for other tasks) do not count, as long as their ids are free in
    the other.

    Args:
        files: The backbone, with its tokenizer fetched.
        records_tokenizer: Folder with the tokenizer.json of the records.

    Raises:
        SettingsInvalid: they differ, the backbone has fewer ids, or no fast tokenizer. Not retried.
    """
    from tokenizers import Tokenizer

    theirs = Tokenizer.from_str(init_safe_tokenizer(str(files.folder)).backend_tokenizer.to_str())
    ours = Tokenizer.from_file(str(records_tokenizer / TOKENIZER_FILE))
    difference = _difference(ours, theirs)
    if difference:
        revision = f" --tokenizer-revision {files.revision}" if files.revision else ""
        raise SettingsInvalid(
            f"the records were tokenised by {records_tokenizer}, which is not the tokenizer of backbone {files.name}: "
            f"{difference}. Preprocess with --tokenizer {files.name}{revision}"
        )
    _check_vocabulary(ours, files)


def _difference(ours: Tokenizer, theirs: Tokenizer) -> str:
    """How two tokenizers differ; empty where they give the same ids."""
    our_ids, their_ids = ours.get_vocab(), theirs.get_vocab()
    shared = sorted(our_ids.keys() & their_ids.keys(), key=our_ids.__getitem__)
    moved = [token for token in shared if our_ids[token] != their_ids[token]]
    if moved:
        first = moved[0]
        return (
            f"{len(moved):,} of {len(shared):,} tokens that both know have another id (the first is {first!r}: "
            f"{our_ids[first]} in the records, {their_ids[first]} in the backbone)"
        )
    their_tokens = {number: token for token, number in their_ids.items()}
    taken = [token for token, number in our_ids.items() if their_tokens.get(number, token) != token]
    if taken:
        first = min(taken, key=our_ids.__getitem__)
        return (
            f"{len(taken):,} ids mean another token (the first is {our_ids[first]}: {first!r} in the records, "
            f"{their_tokens[our_ids[first]]!r} in the backbone)"
        )
    for probe in PROBES:
        our_reading, their_reading = _read(ours, probe), _read(theirs, probe)
        if our_reading != their_reading:
            return f"{probe!r} is {our_reading} in the records and {their_reading} in the backbone"
    return ""


def _read(tokenizer: Tokenizer, text: str) -> list[int]:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids: list[int] = tokenizer.encode(text).ids
    return ids


def _check_vocabulary(ours: Tokenizer, files: BackboneFiles) -> None:
    """Refuse a backbone that lacks embeddings for ids of its own tokenizer."""
    largest, vocab_size = max(ours.get_vocab().values()), files.config.get("vocab_size")
    if vocab_size is not None and largest >= vocab_size:
        raise SettingsInvalid(
            f"backbone: {files.name} has embeddings for {vocab_size} ids, and its tokenizer's go up to {largest}; its "
            "weights and its tokenizer do not belong together: give a matching pair"
        )
