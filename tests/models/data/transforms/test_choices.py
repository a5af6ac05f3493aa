"""Choices of one key are the same for ever; of another key, others; and as likely as asked for."""

from __future__ import annotations

from models.data.transforms.choices import Choices


def drawn(transform: str, seed: int, digest: bytes) -> list[int]:
    return Choices(transform, seed, digest).some(range(1000), 0.3)


def test_equal_arguments_give_equal_choices_and_others_give_others() -> None:
    assert drawn("a", 1, b"x") == drawn("a", 1, b"x")
    assert len({tuple(drawn(*each)) for each in [("a", 1, b"x"), ("b", 1, b"x"), ("a", 2, b"x"), ("a", 1, b"y")]}) == 4
    assert drawn("a", 1, b"x")[:5] == [0, 5, 8, 10, 16]


def test_choices_are_as_likely_as_asked_for() -> None:
    choices = Choices("a", 1, b"x")

    assert 250 < len(choices.some(range(1000), 0.3)) < 350
    assert choices.some(range(1000), 0.0) == []
    assert choices.some(range(1000), 1.0) == list(range(1000))
    assert {choices.pick("abc") for _ in range(50)} == set("abc")
    assert {choices.chance(0.5) for _ in range(50)} == {True, False}
