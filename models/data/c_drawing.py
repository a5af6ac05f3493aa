"""Random choices for generated C: identifiers, numbers, types and harmless surrounding statements.

Everything comes from ``random.Random(int).random()``, whose values Python promises to keep across versions; nothing
depends on hashes or on the order of sets.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")

_FIRST_WORDS = """
acc addr ack arg attr band base bin bit blk body bus byte cache call cap cell chan chunk clk cmd code coef conn core
cur data desc dest dev dict dim dirty disk dma edge elem end ent err evt ext fetch field file fill first flow frag
frame gap grid group hash hdr head heap hold host idle img info init item iter job key lane last layer leaf left len
level limb line link list load lock log loop mac map mark mask match max mem merge meta mode mux name near next
nibble node note obj off old opt out owner pack pad page parm part pass path peer pend perm phase phy pin pipe pixel
plan pool port prev prio probe prog pulse quant queue quota rate raw read rec ref reg rep req res ring root round
route row rule run samp scan scope sect seg sel send seq ser set shift side sig sink slab slice slot sock span src
stack stage stamp start stat step stop store stream strip sub sum swap sync tab tag tail tape task tbl temp term
text tick tile tmp token top trace track tree trim tune turn unit update user val vec ver view virt wait walk wave
win word work wrap zone
"""
_SECOND_WORDS = """
area arg at bits buf by cnt count ctl ctx cur data depth desc dist end entry fd flag flags fmt hi id idx index info
key kind left len limit list lo map mark max min mode name no num off ofs order out pair part pos prev ptr rate ref
reg rest rows seed seq size slot src state step sum tab tag tmp top total type unit val var width word x y z
"""
_VERBS_WORDS = """
add alloc apply attach begin bind build calc check clear close collect commit copy count decode drop emit encode
enqueue eval expand export feed fetch fill filter find finish flush fold format get grow handle import init insert
join load lookup make mark merge move open pack parse peek pick poll pop prepare probe process pull push put queue
read refill refresh register release render replay report reset resize resolve restore route save scan select send
setup shrink sort split start step stop store submit swap sync tear test touch trace track transform trim unpack
update validate verify visit wait walk write
"""
_RESERVED_WORDS = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
"""
_FIRST = tuple(_FIRST_WORDS.split())
_SECOND = tuple(_SECOND_WORDS.split())
_VERBS = tuple(_VERBS_WORDS.split())
_RESERVED = frozenset(_RESERVED_WORDS.split())
INTEGER_TYPES = (
    "int",
    "unsigned int",
    "long",
    "size_t",
    "uint32_t",
    "uint16_t",
    "int32_t",
    "uint64_t",
    "unsigned long",
)


class Draw:
    """One stream of random choices; identifiers of one stream never repeat."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._taken: set[str] = set(_RESERVED)

    def below(self, limit: int) -> int:
        """An integer from 0 to ``limit`` - 1."""
        return int(self._random.random() * limit)

    def between(self, low: int, high: int) -> int:
        """An integer from ``low`` to ``high``, both included."""
        return low + self.below(high - low + 1)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random.random() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """The items in random order (Fisher and Yates)."""
        result = list(items)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result

    def name(self) -> str:
        """A new variable, field or struct name."""
        while True:
            first, second, form = self.pick(_FIRST), self.pick(_SECOND), self.below(6)
            name = (
                f"{first}_{second}",
                f"{first}_{second}",
                first + second.capitalize(),
                f"{first}{second}",
                first,
                second,
            )[form]
            if self._take(name):
                return name

    def names(self, count: int) -> list[str]:
        """Several new names."""
        return [self.name() for _ in range(count)]

    def function(self) -> str:
        """A new function name."""
        while True:
            verb, noun, form = self.pick(_VERBS), self.pick(_FIRST), self.below(4)
            name = (
                f"{noun}_{verb}",
                f"{verb}_{noun}",
                f"{verb}_{noun}_{self.pick(_SECOND)}",
                f"{self.pick(_FIRST)}_{noun}_{verb}",
            )[form]
            if self._take(name):
                return name

    def macro(self) -> str:
        """A new constant name."""
        while True:
            name = f"{self.pick(_FIRST)}_{self.pick(_SECOND)}".upper()
            if self._take(name):
                return name

    def message(self) -> str:
        """The text of a log line."""
        return " ".join(self.pick((_FIRST, _VERBS, _SECOND)[self.below(3)]) for _ in range(self.between(2, 5)))

    def hex(self, digits: int) -> str:
        """Random hexadecimal digits."""
        return "".join("0123456789abcdef"[self.below(16)] for _ in range(digits))

    def _take(self, name: str) -> bool:
        if name in self._taken:
            return False
        self._taken.add(name)
        return True


def harmless_statement(draw: Draw, numbers: Sequence[str], failure: str) -> str:
    """A statement over the integer variables ``numbers`` that neither adds nor removes a flaw."""
    return draw.pick(_HARMLESS)(draw, draw.pick(numbers), draw.pick(numbers), failure)


Statement = Callable[[Draw, str, str, str], str]


def _log(draw: Draw, a: str, b: str, _failure: str) -> str:
    return f'{draw.function()}("{draw.message()} %d %d", (int) {a}, (int) {b});'


def _arithmetic(draw: Draw, a: str, b: str, _failure: str) -> str:
    operator = draw.pick(("+", "^", "|", "&", "-"))
    return f"{a} = ({b} {operator} {draw.between(1, 900)}) {draw.pick(('>>', '&', '^'))} {draw.between(1, 15)};"


def _compound(draw: Draw, a: str, b: str, _failure: str) -> str:
    return f"{a} {draw.pick(('+=', '^=', '|=', '-='))} {b} {draw.pick(('>>', '&', '|'))} {draw.between(1, 31)};"


def _clamp(draw: Draw, a: str, _b: str, _failure: str) -> str:
    limit = draw.pick((draw.macro(), str(draw.between(3, 5000))))
    return f"if ({a} {draw.pick(('>', '>=', '<', '<='))} {limit}) {{\n{a} = {limit};\n}}"


def _guard(draw: Draw, a: str, _b: str, failure: str) -> str:
    return f"if ({draw.function()}({a}, {draw.macro()}) {draw.pick(('<', '!='))} 0) {{\nreturn {failure};\n}}"


def _counting(draw: Draw, a: str, b: str, _failure: str) -> str:
    index, comparison = draw.name(), draw.pick(("<", "<="))
    body = draw.pick((f"{a} += {index} ^ {b};", f"{draw.function()}({index}, {a});", f"{a} ^= {index};\n{b} += {a};"))
    return f"for (int {index} = 0; {index} {comparison} {draw.between(2, 40)}; {index}++) {{\n{body}\n}}"


def _draining(draw: Draw, a: str, b: str, _failure: str) -> str:
    return f"while ({a} > {draw.between(1, 60)}) {{\n{a} -= {draw.between(1, 9)};\n{b}++;\n}}"


def _selection(draw: Draw, a: str, b: str, _failure: str) -> str:
    cases = "".join(f"case {draw.macro()}:\n{b} = {draw.between(0, 99)};\nbreak;\n" for _ in range(draw.between(1, 3)))
    return f"switch ({a}) {{\n{cases}default:\n{b} = {draw.between(0, 9)};\nbreak;\n}}"


def _either(draw: Draw, a: str, b: str, _failure: str) -> str:
    comparison = f"{b} {draw.pick(('>', '<', '=='))} {draw.between(0, 400)}"
    return f"{a} = {comparison} ? {draw.between(0, 90)} : {draw.function()}({b});"


def _branch(draw: Draw, a: str, b: str, _failure: str) -> str:
    condition = draw.pick(
        (f"{a} & {draw.macro()}", f"{a} == {b}", f"!{draw.function()}({b})", f"{a} != {draw.macro()}")
    )
    return f"if ({condition}) {{\n{b}++;\n}} else {{\n{draw.function()}({a});\n}}"


def _call(draw: Draw, a: str, b: str, _failure: str) -> str:
    return draw.pick(
        (f"{a} = {draw.function()}({b}, {draw.macro()});", f"{draw.function()}({a}, {b});", f"{draw.function()}(&{a});")
    )


def _shift(draw: Draw, a: str, _b: str, _failure: str) -> str:
    return f"{a} <<= {draw.between(1, 7)};"


_HARMLESS: tuple[Statement, ...] = (
    _log,
    _arithmetic,
    _compound,
    _clamp,
    _guard,
    _counting,
    _draining,
    _selection,
    _either,
    _branch,
    _call,
    _call,
    _shift,
)
