"""What lists of patches can tell of the candidates run that they come from."""

from __future__ import annotations

from pathlib import Path

from models.jobs.json_files import read_json

METADATA_FILE = "candidates_metadata.json"
LEARNT_FLAG = "tokenizer_learnt_from_held_out_edits"
"""Whether the edits of every project, each of which is left out once, shaped the vocabulary."""


def is_learnt_from_held_out(lists: Path) -> bool | None:
    """Whether the tokenizer of these lists' texts read the edits that are held out; no label was read.

    Args:
        lists: A file as a candidates run leaves it, in ``projects/<project>``.

    Returns:
        ``None`` where there are no such metadata: the file lies elsewhere, or was made by something else.
    """
    metadata = read_json(lists.resolve().parents[2] / METADATA_FILE) if len(lists.resolve().parents) > 2 else None
    found = metadata.get(LEARNT_FLAG) if isinstance(metadata, dict) else None
    return found if isinstance(found, bool) else None
