"""Variants in six languages: determinism, what never changes, undoing, and programs that do the same as before."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.augmentation import generated_text
from models.data import augmentation
from models.data.augmentation import (
    COMMENTS,
    RENAME,
    SHUFFLE,
    TRANSFORMS,
    WHITESPACE,
    AugmentStatistics,
    augment_many,
    augment_text,
)
from models.data.c_drawing import Draw
from models.data.generated_code.rendering import render
from models.data.generated_code.styles import drawn_style
from models.data.generated_code.tasks import TASKS
from models.data.generated_code.twins import twin
from models.data.transforms.checked import Source, nodes_of
from models.data.transforms.edits import Changes
from models.settings.augment import AugmentConfig
from models.settings.languages import LANGUAGES, LanguageName

EVERYTHING = AugmentConfig(shuffle_prob=1, whitespace_prob=1, rename_prob=1, comment_prob=1, enable_reorder=True)
NODE = shutil.which("node")
SNIPPETS: dict[LanguageName, str] = {
    "c": r"""#include <stdio.h>
#define MAX(a, b) \
  ((a) > (b) ? (a) : (b))

/* reads */
static int read_all(struct reader *r, const char *path)
{
	int n = 0;
	char c = '\'';
#ifdef DEBUG
	printf("%s  // %d\n", path, n);
#endif
	for (int i = 0; i < MAX(n, 3); i++) {
		r->n += i * n; // grows
	}
	return n == 0 ? -1 : r->path[n];
}
""",
    "cpp": """#include <string>
namespace a {
template <typename T> T sum(const std::vector<T>& values, int limit = 3) {
  T total{};
  std::string text = R"x(a, "b" = c)x";
  for (const auto& value : values) {
    if (limit == 0) break;
    total += value;
  }
  auto add = [&total, limit](int more) { return total + more * limit; };
  return add(2);
}
}
""",
    "python": '''from __future__ import annotations
import os


class Reader:
    """Reads."""

    size = 0

    def read(self, path, *, mode="r"):
        first = 1
        second = None
        text = f"{path!r}: {first}"
        lines = [line.strip() for line in open(path, mode=mode) if first == 1]
        # why not
        return """
    # no comment
    """ + text, lines, second


def main():
    reader = Reader()
    print(reader.read("x"))  # noqa
''',
    "java": """package a;

/** Doc. */
public class Reader {
    private int n;

    public Reader(int n) { this.n = n; }

    int read(String path, int limit) throws IOException {
        int first = 1;
        String s = "a,b // c";
        for (int i = 0; i < limit; i++) {
            n += i * limit; /* grows */
        }
        return first == n ? path.length() : n;
    }
}
""",
    "javascript": """'use strict'
const fs = require('fs')

function read(path, { mode, size: count }) {
  let first = 1
  let second = "x"
  // why
  const text = `${path} has  ${count}`
  return [text, mode, /a,b/g, first === count]
}

module.exports = { read }
""",
    "go": """package main

import "fmt"

// Reader reads.
type Reader struct{ n int }

func (r *Reader) Read(path string, limit int) (total int, err error) {
	first := 1
	s := `a,b
	c`
	for i := 0; i < limit; i++ {
		total += i * limit // grows
	}
	if n := len(s); n == first {
		return 0, fmt.Errorf("a,b %d", n)
	}
	return
}
""",
}


def config_of(language: LanguageName, **changes: Any) -> AugmentConfig:
    return EVERYTHING.model_copy(update={"language": language, **changes})


@st.composite
def texts(draw: st.DrawFn) -> tuple[LanguageName, str]:
    """Real-looking code; sometimes cut off, or with something thrown in."""
    language = draw(st.sampled_from(LANGUAGES))
    code = draw(st.sampled_from([SNIPPETS[language], generated_text(language, draw(st.integers(0, 300)))]))
    damage = draw(st.sampled_from(["none", "none", "cut", "put in", "crlf"]))
    at = draw(st.integers(0, len(code)))
    if damage == "cut":
        code = code[:at]
    elif damage == "put in":
        code = code[:at] + draw(st.sampled_from(["(", "var_1", "\t", "é", "\n\n", "/**/", "\\\n", '"'])) + code[at:]
    elif damage == "crlf":
        code = code.replace("\n", "\r\n")
    return language, code


def fixed_texts(code: str, language: LanguageName) -> list[str]:
    """Strings, characters and templates by the tree, preprocessor lines by their own look; in order of the alphabet."""
    source = Source(code, language)
    kinds = ["string", "string_literal", "char_literal", "raw_string_literal", "template_string", "regex"]
    kinds += ["interpreted_string_literal", "rune_literal", "character_literal", "system_lib_string"]
    found = [(node.text or b"").decode() for node, _ in nodes_of(source.best_tree) if node.type in kinds]
    return sorted(found + re.findall(r"^[ \t]*#.*(?:\\\n.*)*$", code, re.MULTILINE) * (language in ("c", "cpp")))


@given(texts(), st.integers(0, 1000), st.sampled_from([EVERYTHING, AugmentConfig()]))
@settings(max_examples=250)
def test_what_holds_for_every_text(text: tuple[LanguageName, str], seed: int, config: AugmentConfig) -> None:
    language, code = text
    config = config.model_copy(update={"language": language})
    outcome = augment_text(code, seed, config)

    assert outcome == augment_text(code, seed, config)
    assert outcome.original == code
    assert bool(outcome.transformations) == (outcome.augmented != code)
    assert [name for name in TRANSFORMS if name in outcome.transformations] == list(outcome.transformations)
    assert not set(outcome.transformations) & set(outcome.undone)
    assert outcome.parsed == (Source(code, language).clean_tree is not None)
    if not outcome.parsed:
        assert outcome.augmented == code and not outcome.undone
        return
    assert Source(outcome.augmented, language).clean_tree is not None
    assert fixed_texts(outcome.augmented, language) == fixed_texts(code, language)
    if outcome.transformations == (RENAME,):
        assert len(outcome.augmented.splitlines()) == len(code.splitlines())


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_transform_alone_is_the_only_one_named(language: LanguageName) -> None:
    switches = {
        SHUFFLE: "enable_shuffle",
        WHITESPACE: "enable_whitespace",
        RENAME: "enable_rename",
        COMMENTS: "enable_comment",
    }
    off = dict.fromkeys([*switches.values(), "enable_reorder"], False)
    for name, switch in switches.items():
        outcome = augment_text(SNIPPETS[language], 1, config_of(language, **{**off, switch: True}))
        may_find_nothing = (language, name) in {("cpp", SHUFFLE)}
        assert outcome.transformations == (name,) or (may_find_nothing and not outcome.transformations)
        never = {f"{each}_prob": 0.0 for each in ("shuffle", "whitespace", "rename", "comment")}
        assert (
            augment_text(SNIPPETS[language], 1, config_of(language, **never, enable_reorder=False)).transformations
            == ()
        )


@pytest.mark.parametrize("language", LANGUAGES)
def test_code_that_does_not_parse_comes_back_and_says_so(language: LanguageName) -> None:
    code = SNIPPETS[language] + "\n) broken ((\n"

    assert augment_text(code, 1, config_of(language)) == (code, code, (), (), False)
    assert augment_many(code, 3, 1, config_of(language)) == []


@pytest.mark.parametrize("code", ["", "\n", "\ud800 = 1\n", "x\0y"])
def test_what_is_hardly_a_text_comes_back(code: str) -> None:
    assert augment_text(code).augmented == code


def test_the_language_is_guessed_where_none_is_given() -> None:
    for language in LANGUAGES:
        outcome = augment_text(SNIPPETS[language], 3)
        assert outcome == augment_text(SNIPPETS[language], 3, AugmentConfig(language=language))
        assert outcome.transformations


def breaking(places: Any, seed: int, probability: float) -> Changes:
    return Changes([(len(places.content), len(places.content), b"((", 0)])


def misread(places: Any, seed: int, probability: float) -> Changes:
    return Changes([(len(places.content), len(places.content), b"\nx = 1\n", 0)])


@pytest.mark.parametrize("planted", [breaking, misread])
@pytest.mark.parametrize("name", [SHUFFLE, WHITESPACE, RENAME, COMMENTS])
def test_a_transform_that_breaks_is_undone_and_the_others_stand(
    name: str, planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of("python", enable_reorder=False)
    switch = dict(zip(TRANSFORMS, ("shuffle", "whitespace", "rename", "comment"), strict=False))[name]
    without = augment_text(SNIPPETS["python"], 1, config.model_copy(update={f"enable_{switch}": False}))
    monkeypatch.setitem(augmentation.OPERATORS, name, planted)

    outcome = augment_text(SNIPPETS["python"], 1, config)

    assert outcome.undone == (name,)
    assert outcome.augmented == without.augmented
    assert outcome.transformations == without.transformations
    statistics = AugmentStatistics(config)
    statistics.add(outcome)
    statistics.add(augment_text("def (", 1, config))
    told = statistics.to_json()
    assert (told["num_texts"], told["num_not_parsed"], told["num_unchanged"], told["undo_rate"]) == (2, 1, 0, 0.25)
    assert told["transforms"][name] == {"tried": 1, "changed": 0, "undone": 1}
    assert json.loads(json.dumps(told)) == told


def test_variants_differ_from_the_text_and_from_each_other_as_far_as_there_are_some() -> None:
    code = SNIPPETS["java"]
    variants = augment_many(code, 5, 7, AugmentConfig(language="java"))

    assert len({variant.augmented for variant in variants} | {code}) == 6
    assert variants[0] == augment_text(code, 7, AugmentConfig(language="java"))
    assert variants == augment_many(code, 5, 7, AugmentConfig(language="java"))
    assert variants[:3] == augment_many(code, 3, 7, AugmentConfig(language="java"))
    only_names = AugmentConfig(language="c", enable_shuffle=False, enable_whitespace=False, enable_comment=False)
    assert [each.augmented for each in augment_many("int f(int a);", 4, 1, only_names)] == []
    assert len(augment_many("int f(int a) { return a; }", 4, 1, only_names)) == 1
    assert augment_many(code, 0) == []


PROGRAM = """
import hashlib, json, sys
from models.data.augmentation import augment_text
from models.settings.augment import AugmentConfig
digest = hashlib.sha256()
for language, code in json.load(sys.stdin).items():
    for seed in range(3):
        digest.update(repr(augment_text(code, seed, AugmentConfig(language=language, enable_reorder=True))).encode())
print(digest.hexdigest())
"""


@pytest.mark.parametrize("hash_seed", ["0", "4242"])
def test_variants_do_not_depend_on_the_process(hash_seed: str) -> None:
    texts = {
        language: code + generated_text(language, 3) * (language not in ("go", "cpp"))
        for language, code in SNIPPETS.items()
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(texts), capture_output=True, text=True, check=True,
        env={"PYTHONHASHSEED": hash_seed, "PATH": ""},
    )  # fmt: skip
    digest = hashlib.sha256()
    for language, code in texts.items():
        for seed in range(3):
            config = AugmentConfig(language=language, enable_reorder=True)
            digest.update(repr(augment_text(code, seed, config)).encode())
    assert done.stdout.strip() == digest.hexdigest()


def test_a_variant_is_the_same_for_ever() -> None:
    code = "int f(int a, int b)\n{\n  int c = a*b; /* c */\n  return c == 2;\n}\n"

    assert augment_text(code, 42, config_of("c")).augmented == (
        "int f(int var_1,int var_2)\n\n{\n\n\t/* as before */\n  int var_3=var_2*var_1;\n\treturn 2==var_3;\n\n}\n\n"
    )


ARGUMENTS = ([3, 1, 2, 2, 5], [7, 7, 1, 4, 0], 4, 9, 3)


def runs_of(code: str, function: str, parameters: list[str]) -> list[str]:
    """What a function of Python gives and leaves in its arguments, for some arguments."""
    found = []
    for shift in range(3):
        arguments: list[Any] = []
        for at, kind in enumerate(parameters):
            whole = ARGUMENTS[2:][(at + shift) % 3]
            arguments.append(list(ARGUMENTS[(at + shift) % 2]) if kind == "list" else whole)
        scope: dict[str, Any] = {}
        exec(compile(code, "generated", "exec"), scope)
        try:
            found.append(repr((scope[function](*arguments), arguments)))
        except (IndexError, ZeroDivisionError, ValueError) as error:
            found.append(type(error).__name__)
    return found


@pytest.mark.parametrize("task", sorted(TASKS))
def test_python_does_the_same(task: str) -> None:
    node = twin(TASKS[task], flawed=False)
    kinds = [ast.unparse(argument.annotation) if argument.annotation else "int" for argument in node.args.args]
    for number in range(3):
        code = render(node, drawn_style(Draw(number), "python", node))
        name = re.search(r"def (\w+)", code)[1]  # type: ignore[index]
        outcome = augment_text(code, number, config_of("python"))
        assert outcome.transformations  # no renaming where there are parameters only: callers may name these
        assert runs_of(outcome.augmented, name, kinds) == runs_of(code, name, kinds)


@pytest.mark.skipif(NODE is None, reason="there is no node to run JavaScript with")
def test_javascript_does_the_same() -> None:
    before, after, calls = [], [], []
    for number, task in enumerate(sorted(TASKS)):
        node = twin(TASKS[task], flawed=False)
        kinds = [ast.unparse(argument.annotation) if argument.annotation else "int" for argument in node.args.args]
        code = render(node, drawn_style(Draw(number), "javascript", node))
        name = re.search(r"function (\w+)|(?:const|let|var) (\w+) =", code)
        assert name is not None
        arguments = [
            list(ARGUMENTS[at % 2]) if kind == "list" else ARGUMENTS[2 + at % 3] for at, kind in enumerate(kinds)
        ]
        call = f"show({name[1] or name[2]}, {json.dumps(arguments)});\n"
        outcome = augment_text(code, number, config_of("javascript"))
        assert outcome.transformations
        before.append(f"{{\n{code}\n{call}}}\n")
        after.append(f"{{\n{outcome.augmented}\n{call}}}\n")
        calls.append(call)
    assert output_of("".join(after)) == output_of("".join(before))


def output_of(program: str) -> str:
    shown = (
        "function show(f, given) {\n  let made;\n  try { made = f(...given); } catch (error) { made = error.name; }\n"
        "  console.log(JSON.stringify([made === undefined ? null : made, given]));\n}\n"
    )
    assert NODE is not None
    done = subprocess.run([NODE, "-"], input=shown + program, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.count("\n") == len(TASKS)
    return done.stdout
