"""What a trained ranker leaves beside its weights: how to build it again, where it comes from, and its tokenizer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.data.record_tokenizer import RecordTokenizer
from models.errors import ObjectCorrupt
from models.settings.tokenizing import TOKENIZER_FOLDER
from models.training.objective import Story

ARCHITECTURE = "architecture"


def meta_file(architecture: dict[str, Any], story: Story) -> bytes:
    """JSON without clocks and paths: what the model is built of, and its story.

    Args:
        architecture: What its settings do not say: widths that depend on data, the backbone's configuration.
        story: Where it comes from.
    """
    said = {ARCHITECTURE: architecture, "question": story.question, "best": story.best, "facts": story.facts}
    return json.dumps(said, indent=1, sort_keys=True).encode() + b"\n"


def read_architecture(path: Path, *names: str) -> list[Any]:
    """Values of the architecture in a file of :func:`meta_file`, by name.

    Raises:
        ObjectCorrupt: It is no such file, or lacks one. Not retried.
    """
    try:
        architecture = json.loads(path.read_bytes())[ARCHITECTURE]
        return [architecture[name] for name in names]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ObjectCorrupt(str(path), f"{ARCHITECTURE} with {', '.join(names)}", repr(error)) from error


def tokenizer_files(tokenizer: RecordTokenizer) -> dict[str, bytes]:
    """The tokenizer's files by their path in the run directory, as ``AutoTokenizer`` loads the folder."""
    return {f"{TOKENIZER_FOLDER}/{name}": content for name, content in tokenizer.files().items()}
