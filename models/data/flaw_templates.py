"""Flaws as twins: each template writes the same few statements with a flaw or without.

A template draws the same choices whether ``flawed`` or not, so that its two versions are twins. They hold the same
tokens: a dangerous statement stands inside the check that guards it or after it (and a harmless one takes the other
place), two statements are in the other order, or two operators trade places between the expression that matters and
a decoy, where either is harmless. So neither length nor any single word tells them apart; the order of words tells
much (four in a row suffice for most templates), and the shape of the syntax tree tells the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from models.data.c_drawing import INTEGER_TYPES, Draw


class Core(NamedTuple):
    """The statements that matter.

    Args:
        parameters: Declarators, as in a parameter list.
        declarations: Declarations, complete with semicolon.
        statements: Statements that must stay in this order.
        decoy: A statement that may stand before or after them; empty: none.
    """

    parameters: list[str]
    declarations: list[str]
    statements: list[str]
    decoy: str = ""


Template = Callable[[Draw, bool], Core]


def _guarded(draw: Draw, flawed: bool, condition: str, use: str, counter: str) -> list[str]:
    """A use inside its check and a harmless statement after it, or the two exchanged."""
    step = draw.between(1, 60)
    harmless = draw.pick(
        (
            f"{counter}++;",
            f"{counter} += {step};",
            f"{counter} = {counter} * {step};",
            f"{counter} = {step};",
            f"{draw.function()}({counter});",
        )
    )
    inside, after = (harmless, use) if flawed else (use, harmless)
    return [f"if ({condition}) {{\n{inside}\n}}", after]


def _swapped(flawed: bool, in_flawed: str, in_safe: str) -> tuple[str, str]:
    """What the expression that matters gets, and what the decoy gets."""
    return (in_flawed, in_safe) if flawed else (in_safe, in_flawed)


def unchecked_index(draw: Draw, flawed: bool) -> Core:
    """CWE-787: an array is written although the index was only just seen to be too large."""
    table, index, value, counter = draw.names(4)
    size = draw.macro()
    return Core(
        [f"unsigned int {index}", f"int {value}", f"int *{table}"],
        [f"int {counter} = 0;"],
        _guarded(draw, flawed, f"{index} < {size}", f"{table}[{index}] = {value};", counter),
    )


def unchecked_read(draw: Draw, flawed: bool) -> Core:
    """CWE-125: an array is read beyond its end."""
    table, index, total, counter = draw.names(4)
    size = draw.between(8, 999)
    return Core(
        [f"const unsigned char {table}[{size}]", f"unsigned int {index}"],
        [f"unsigned int {total} = 0;", f"int {counter} = 0;"],
        _guarded(draw, flawed, f"{index} < {size}", f"{total} += {table}[{index}];", counter),
    )


def null_pointer(draw: Draw, flawed: bool) -> Core:
    """CWE-476: a field is used although the pointer may be NULL."""
    obj, struct, field, key, counter = draw.names(5)
    condition = draw.pick((f"{obj} != NULL", f"NULL != {obj}", f"{obj}"))
    return Core(
        [f"int {key}"],
        [f"struct {struct} *{obj};", f"int {counter} = 0;"],
        [
            f"{obj} = {draw.function()}({key});",
            *_guarded(draw, flawed, condition, f"{obj}->{field} = {draw.between(1, 99)};", counter),
        ],
    )


def zero_divisor(draw: Draw, flawed: bool) -> Core:
    """CWE-369: a division by what may be zero."""
    divisor, total, mean, counter = draw.names(4)
    condition = draw.pick((f"{divisor} != 0", f"{divisor} > 0"))
    return Core(
        [f"unsigned int {divisor}", f"unsigned int {total}"],
        [f"unsigned int {mean} = 0;", f"int {counter} = 0;"],
        _guarded(draw, flawed, condition, f"{mean} = {total} {draw.pick(('/', '%'))} {divisor};", counter),
    )


def unchecked_copy(draw: Draw, flawed: bool) -> Core:
    """CWE-120: bytes are copied although there may be too many."""
    buffer, source, length, end, counter = draw.names(5)
    copy = draw.pick(("memcpy", "memmove", "mempcpy"))
    return Core(
        [f"const unsigned char *{source}", f"size_t {length}"],
        [f"unsigned char {buffer}[{draw.between(16, 512)}];", f"unsigned char *{end};", f"int {counter} = 0;"],
        _guarded(
            draw, flawed, f"{length} <= sizeof({buffer})", f"{end} = {copy}({buffer}, {source}, {length});", counter
        ),
    )


def uninitialised_value(draw: Draw, flawed: bool) -> Core:
    """CWE-457: a value is used although nothing was read into it."""
    value, stream, total, counter = draw.names(4)
    return Core(
        [f"int {stream}"],
        [f"int {value};", f"int {total} = {draw.between(0, 9)};", f"int {counter} = 0;"],
        _guarded(draw, flawed, f"{draw.function()}({stream}, &{value}) == 0", f"{total} += {value};", counter),
    )


def negative_length(draw: Draw, flawed: bool) -> Core:
    """CWE-191: an unsigned difference falls below zero."""
    length, header, rest, counter = draw.names(4)
    return Core(
        [f"size_t {length}", f"size_t {header}"],
        [f"size_t {rest} = 0;", f"int {counter} = 0;"],
        _guarded(draw, flawed, f"{length} >= {header}", f"{rest} = {length} - {header};", counter),
    )


def wrapped_product(draw: Draw, flawed: bool) -> Core:
    """CWE-190: the size of an allocation wraps around."""
    count, size, data, counter = draw.names(4)
    limit, allocator = draw.macro(), draw.pick(("malloc", "kmalloc", "xmalloc", "g_malloc"))
    return Core(
        [f"size_t {count}", f"size_t {size}"],
        [f"void *{data} = NULL;", f"int {counter} = 0;"],
        [
            *_guarded(draw, flawed, f"{count} < {limit} / {size}", f"{data} = {allocator}({count} * {size});", counter),
            f"{draw.function()}({data});",
        ],
    )


def unlocked_update(draw: Draw, flawed: bool) -> Core:
    """CWE-362: shared state is changed although the lock was not taken."""
    obj, struct, mutex, field, amount, counter = draw.names(6)
    lock = draw.pick(("pthread_mutex_trylock", "mtx_trylock", "sem_trywait"))
    return Core(
        [f"struct {struct} *{obj}", f"int {amount}"],
        [f"int {counter} = 0;"],
        _guarded(draw, flawed, f"{lock}(&{obj}->{mutex}) == 0", f"{obj}->{field} += {amount};", counter),
    )


def foreign_memory(draw: Draw, flawed: bool) -> Core:
    """CWE-590: memory that is not on the heap is handed to realloc."""
    obj, struct, field, flag, counter = draw.names(5)
    grown = f"{obj}->{field} = realloc({obj}->{field}, {draw.between(64, 4096)});"
    return Core(
        [f"struct {struct} *{obj}"],
        [f"int {counter} = 0;"],
        _guarded(draw, flawed, f"{obj}->{flag} & {draw.macro()}", grown, counter),
    )


def loop_bound(draw: Draw, flawed: bool) -> Core:
    """CWE-193: the loop that writes an array runs one step too far."""
    table, source, i, j, total, weight = draw.names(6)
    size, bound_type = draw.between(8, 300), draw.pick(("int", "unsigned int", "size_t"))
    here, decoy = _swapped(flawed, "<=", "<")
    return Core(
        [f"const unsigned char *{source}", f"unsigned int {weight}"],
        [f"unsigned char {table}[{size}];", f"{bound_type} {i};", f"{bound_type} {j};", f"unsigned long {total} = 0;"],
        [f"for ({i} = 0; {i} {here} {size}; {i}++) {{\n{table}[{i}] = {source}[{i}];\n}}"],
        f"for ({j} = 0; {j} {decoy} {size}; {j}++) {{\n{total} += {j} ^ {weight};\n}}",
    )


def use_after_free(draw: Draw, flawed: bool) -> Core:
    """CWE-416: a field is read after its object was freed."""
    obj, struct, field, refs, total = draw.names(5)
    freed, used = f"{draw.pick(('free', 'kfree', draw.function()))}({obj});", f"{total} += {obj}->{field};"
    first, second = _swapped(flawed, freed, used)
    before = f"{draw.function()}({total});"
    return Core(
        [f"struct {struct} *{obj}"],
        [f"long {total} = {draw.between(0, 9)};"],
        [f"if (--{obj}->{refs} == 0) {{\n{before}\n{first}\n{second}\n}}"],
    )


def format_string(draw: Draw, flawed: bool) -> Core:
    """CWE-134: text from outside is the format of a printing function."""
    text, tag, status = draw.names(3)
    printing = draw.pick(("printf", "warnx", "err_msg", draw.function()))
    here, decoy = _swapped(flawed, "", '"%s", ')
    return Core(
        [f"const char *{text}"],
        [f"int {status};", f'const char *{tag} = "{draw.message()}";'],
        [f"{printing}({here}{text});"],
        f"{status} = {draw.function()}({decoy}{tag});",
    )


def terminator_size(draw: Draw, flawed: bool) -> Core:
    """CWE-131: the byte for the terminator is added to the pointer, not to the size."""
    text, copy, cost, level = draw.names(4)
    allocator, outer, inner = draw.pick(("malloc", "xmalloc", "g_malloc")), draw.function(), draw.function()
    here, decoy = _swapped(flawed, ") + 1", " + 1)")
    return Core(
        [f"const char *{text}", f"int {level}"],
        [f"char *{copy};", f"int {cost};"],
        [f"{copy} = {allocator}(strlen({text}){here};", f"strcpy({copy}, {text});"],
        f"{cost} = {outer}({inner}({level}){decoy};",
    )


def pointer_size(draw: Draw, flawed: bool) -> Core:
    """CWE-467: room for the pointer, not for what it points to."""
    obj, struct, field, width, other = draw.names(5)
    here, decoy = _swapped(flawed, "", "*")
    return Core(
        [f"const struct {struct} *{other}"],
        [f"struct {struct} *{obj};", f"{draw.pick(INTEGER_TYPES)} {width} = 0;"],
        [f"{obj} = malloc(sizeof({here}{obj}));", f"{obj}->{field} = {draw.between(0, 99)};"],
        f"{width} += sizeof({decoy}{other});",
    )


TEMPLATES: tuple[tuple[str, Template], ...] = (
    ("CWE-787", unchecked_index),
    ("CWE-125", unchecked_read),
    ("CWE-476", null_pointer),
    ("CWE-369", zero_divisor),
    ("CWE-120", unchecked_copy),
    ("CWE-190", wrapped_product),
    ("CWE-362", unlocked_update),
    ("CWE-590", foreign_memory),
    ("CWE-457", uninitialised_value),
    ("CWE-191", negative_length),
    ("CWE-193", loop_bound),
    ("CWE-416", use_after_free),
    ("CWE-134", format_string),
    ("CWE-131", terminator_size),
    ("CWE-467", pointer_size),
)
