"""How code is changed without changing what it does: ``AugmentConfig``, with the names and defaults of the seed."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from models.settings.fields import Settings
from models.settings.languages import LanguageName

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


class AugmentConfig(Settings):
    """Which transforms are tried, and how often."""

    enable_shuffle: bool = True
    """Exchange neighbouring statements or operands that do not depend on each other (shuffle_tokens_local)."""
    enable_whitespace: bool = True
    """Vary white space that means nothing (perturb_whitespace)."""
    enable_rename: bool = True
    """Rename what the code declares itself to var_1, var_2 … (rename_identifiers)."""
    enable_comment: bool = True
    """Insert or remove comments (manipulate_comments)."""
    enable_reorder: bool = False
    """Put functions of a file in another order (reorder_functions)."""
    shuffle_prob: Probability = 0.3
    """How often each place where tokens could be exchanged is."""
    whitespace_prob: Probability = 0.2
    """How often each place of white space is varied."""
    rename_prob: Probability = 0.4
    """How often each name is replaced."""
    comment_prob: Probability = 0.2
    """How often each comment is removed, and one inserted before each statement."""
    language: LanguageName | None = None
    """Language of the code; empty: the one whose grammar reads it with the fewest errors."""
