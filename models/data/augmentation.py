"""Code changed without changing what it does: variants of a text to train on, in six languages.

The text is parsed once, all transforms read that tree, and what they want is made at once; the result is parsed once
more. Where it does not parse, or its tree is not the one expected, the transforms are made one by one, and those that
are to blame are undone. Equal arguments give equal bytes on every machine, in every process and Python version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from tree_sitter import Tree

from models.data.languages.detection import guess_language
from models.data.transforms import comment_changes, local_shuffling, numbered_names, reordering, white_space
from models.data.transforms.checked import Source, parse
from models.data.transforms.edits import Changed, Changes, with_changes
from models.data.transforms.places import Places
from models.settings.augment import AugmentConfig
from models.settings.languages import LanguageName

Operator = Callable[[Places, int, float], Changes]
SHUFFLE, WHITESPACE, RENAME = local_shuffling.NAME, white_space.NAME, numbered_names.NAME
COMMENTS, REORDER = comment_changes.NAME, reordering.NAME
TRANSFORMS: tuple[str, ...] = (SHUFFLE, WHITESPACE, RENAME, COMMENTS, REORDER)
"""In the order in which they are listed; the last one reorders what the others made."""
OPERATORS: dict[str, Operator] = {
    SHUFFLE: local_shuffling.shuffled_locally,
    WHITESPACE: white_space.perturbed_white_space,
    RENAME: numbered_names.numbered_names,
    COMMENTS: comment_changes.changed_comments,
}
TRIES_PER_VARIANT = 4
"""So many seeds are tried for each variant asked for: small texts have few."""


class Augmented(NamedTuple):
    """A text and its variant.

    Args:
        original: The text given.
        augmented: The variant; the text given, where nothing was changed.
        transformations: Names of the transforms that changed something, in order.
        undone: Names of those whose result did not parse, or parsed as something else, and that were taken back.
        parsed: Whether the text parses in its language; if not, nothing was tried.
    """

    original: str
    augmented: str
    transformations: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    parsed: bool = True


class AugmentStatistics:
    """What became of the transforms over many texts.

    Args:
        config: Of the augmentation.
    """

    def __init__(self, config: AugmentConfig) -> None:
        self.num_texts = 0
        self.num_not_parsed = 0
        self.num_unchanged = 0
        self._enabled = enabled_transforms(config)
        self._changed: Counter[str] = Counter()
        self._undone: Counter[str] = Counter()

    def add(self, augmented: Augmented) -> None:
        """Count an outcome."""
        self.num_texts += 1
        self.num_not_parsed += not augmented.parsed
        self.num_unchanged += augmented.parsed and not augmented.transformations
        self._changed.update(augmented.transformations)
        self._undone.update(augmented.undone)

    @property
    def undo_rate(self) -> float:
        """Share of the changes that were taken back; 0 without changes."""
        num_undone = self._undone.total()
        return num_undone / max(1, num_undone + self._changed.total())

    def to_json(self) -> dict[str, Any]:
        """As JSON values: counts of texts, and of each transform how often it was tried, changed, was undone."""
        tried = self.num_texts - self.num_not_parsed
        return {
            "num_texts": self.num_texts,
            "num_not_parsed": self.num_not_parsed,
            "num_unchanged": self.num_unchanged,
            "undo_rate": self.undo_rate,
            "transforms": {
                name: {"tried": tried, "changed": self._changed[name], "undone": self._undone[name]}
                for name in self._enabled
            },
        }


def enabled_transforms(config: AugmentConfig) -> tuple[str, ...]:
    """Names of the transforms that are tried, in order."""
    switches = (
        config.enable_shuffle,
        config.enable_whitespace,
        config.enable_rename,
        config.enable_comment,
        config.enable_reorder,
    )
    return tuple(name for name, enabled in zip(TRANSFORMS, switches, strict=True) if enabled)


def augment_text(code: str, seed: int = 42, config: AugmentConfig = AugmentConfig()) -> Augmented:  # noqa: B008
    """A variant of a text that does the same.

    Args:
        code: The text; of one language.
        seed: Of the choices: equal seeds give equal variants of equal texts.
        config: Which transforms are tried, how often, and the language.
    """
    parsed = _parsed(code, config)
    return Augmented(code, code, parsed=False) if parsed is None else _variant(parsed, seed, config)


def augment_many(
    code: str,
    k: int,
    base_seed: int = 42,
    config: AugmentConfig = AugmentConfig(),  # noqa: B008
) -> list[Augmented]:
    """Up to ``k`` variants of a text, all different from it and from each other; fewer, where there are no more.

    Args:
        code: The text; of one language.
        k: Variants.
        base_seed: The seeds are this one and those that follow.
        config: Which transforms are tried, how often, and the language.
    """
    parsed = _parsed(code, config)
    if parsed is None:
        return []
    found: dict[str, Augmented] = {}
    for seed in range(base_seed, base_seed + TRIES_PER_VARIANT * k):
        if len(found) == k:
            break
        variant = _variant(parsed, seed, config)
        if variant.transformations:
            found.setdefault(variant.augmented, variant)
    return list(found.values())


class _Parsed(NamedTuple):
    """A text that parses.

    Args:
        source: The text.
        tree: Its tree without errors.
        places: What stands where in it.
    """

    source: Source
    tree: Tree
    places: Places


def _parsed(code: str, config: AugmentConfig) -> _Parsed | None:
    """The text with its places; ``None``: it does not parse, or is no text that UTF-8 can encode."""
    if not code.isascii() and code != code.encode(errors="replace").decode():
        return None
    return _read(code, config.language or guess_language(code))


def _read(code: str, language: LanguageName) -> _Parsed | None:
    source = Source(code, language)
    tree = source.clean_tree
    return None if tree is None else _Parsed(source, tree, Places(source, tree))


def _variant(parsed: _Parsed, seed: int, config: AugmentConfig) -> Augmented:
    names = enabled_transforms(config)
    probabilities = {
        SHUFFLE: config.shuffle_prob,
        WHITESPACE: config.whitespace_prob,
        RENAME: config.rename_prob,
        COMMENTS: config.comment_prob,
    }
    wanted = {name: OPERATORS[name](parsed.places, seed, probabilities[name]) for name in names if name in OPERATORS}
    code, made, undone = _made(parsed, {name: changes for name, changes in wanted.items() if any(changes)})
    if REORDER in names:
        code, made_last, undone_last = _reordered(code, parsed.source.language, seed)
        made, undone = made + made_last, undone + undone_last
    return Augmented(parsed.source.code, code, made, undone)


_Outcome = tuple[str, tuple[str, ...], tuple[str, ...]]
"""A text, the transforms that made it, those that were undone."""


def _made(parsed: _Parsed, wanted: dict[str, Changes]) -> _Outcome:
    """All changes at once; where that is not sound, those that are sound together with the ones before."""
    changed = with_changes(parsed.source.content, wanted)
    if _is_sound(parsed, changed):
        return changed.content.decode(), changed.made_by, ()
    kept: dict[str, Changes] = {}
    undone = []
    for name, changes in wanted.items():
        if _is_sound(parsed, with_changes(parsed.source.content, {**kept, name: changes})):
            kept[name] = changes
        else:
            undone.append(name)
    changed = with_changes(parsed.source.content, kept)
    return changed.content.decode(), changed.made_by, tuple(undone)


def _is_sound(parsed: _Parsed, changed: Changed) -> bool:
    """Whether the result parses as the text did, to a tree of the size that the changes lead to."""
    if not changed.made_by:
        return True
    before, tree = parsed.source, parse(changed.content, parsed.source.language)
    if tree.root_node.has_error != before.tree.root_node.has_error:
        return False
    if tree.root_node.has_error:
        tree = Source(changed.content.decode(), before.language).clean_tree or tree
    is_expected = tree.root_node.descendant_count == parsed.places.num_nodes + changed.num_nodes
    return is_expected and not tree.root_node.has_error


def _reordered(code: str, language: LanguageName, seed: int) -> _Outcome:
    parsed = _read(code, language)
    assert parsed is not None, "it was parsed before"
    changes = reordering.reordered_functions(parsed.places, parsed.tree, seed)
    return _made(parsed, {REORDER: changes} if any(changes) else {})
