"""Tasks written in six languages: they parse, the safe twin computes the task, and twins differ in the flaw alone."""

from __future__ import annotations

import ast
import difflib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.c_drawing import Draw
from models.data.generated_code.composed_tasks import COMPOSED_TASKS
from models.data.generated_code.rendering import render
from models.data.generated_code.sinks import SINK_TASKS, drawn_sink_style, render_sink
from models.data.generated_code.styles import drawn_style
from models.data.generated_code.tasks import TASKS
from models.data.generated_code.twins import twin
from models.data.languages.cutting import cut_functions
from models.data.languages.grammars import parser_of
from models.settings.languages import LANGUAGES, LanguageName

ALL_TASKS = TASKS | COMPOSED_TASKS


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_twins_parse_as_one_function_and_differ_in_few_lines(language: LanguageName) -> None:
    for number, task in enumerate(ALL_TASKS.values()):
        style = drawn_style(Draw(number), language, task)
        safe, flawed = (render(twin(task, flawed=flawed), style) for flawed in (False, True))
        for text in (safe, flawed):
            whole = f"class A {{\n{text}}}\n" if language == "java" else text
            assert not parser_of(language).parse(whole.encode()).root_node.has_error, text
            assert len(cut_functions(whole.encode(), language)) == 1
        lines = difflib.unified_diff(safe.splitlines(), flawed.splitlines(), n=0, lineterm="")
        changed = [line for line in lines if line[0] in "+-" and line[:3] not in ("+++", "---")]
        assert 0 < len(changed) <= 4


@pytest.mark.parametrize("language", LANGUAGES)
def test_sinks_parse_and_their_twins_differ(language: LanguageName) -> None:
    for number, task in enumerate(SINK_TASKS):
        style = drawn_sink_style(Draw(number), language)
        safe, flawed = (render_sink(task, language, style, flawed=flawed) for flawed in (False, True))
        assert safe != flawed
        for text in (safe, flawed):
            whole = f"class A {{\n{text}}}\n" if language == "java" else text
            assert not parser_of(language).parse(whole.encode()).root_node.has_error, text
            assert "{" not in text.partition("(")[0]


def compiled(source: str, name: str) -> Any:
    scope: dict[str, Any] = {}
    exec(compile(source, name, "exec"), scope)
    return scope[name]


numbers = st.integers(-3, 25)


@given(st.sampled_from(list(ALL_TASKS)), st.integers(0, 999), st.data())
def test_the_safe_twin_in_python_computes_what_the_task_says(name, seed, data):  # type: ignore[no-untyped-def]
    task = ALL_TASKS[name]
    style = drawn_style(Draw(seed), "python", task)
    written = compiled(render(twin(task, flawed=False), style), style.function)
    plain = compiled(ast.unparse(twin(task, flawed=False)), name)
    kinds = [ast.unparse(item.annotation or item) for item in task.args.args]  # type: ignore[arg-type]
    given_values = [data.draw(st.lists(numbers, max_size=6) if kind == "list" else numbers) for kind in kinds]
    copies = [list(value) if isinstance(value, list) else value for value in given_values]
    assert outcome(written, given_values) == outcome(plain, copies)
    assert given_values == copies


def outcome(function: Any, values: list[Any]) -> Any:
    return function(*values)


def test_names_say_nothing_of_the_task() -> None:
    for name, task in ALL_TASKS.items():
        for language in LANGUAGES:
            style = drawn_style(Draw(5), language, task)
            assert name not in render(twin(task, flawed=False), style)
