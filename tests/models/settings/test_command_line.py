"""The command line of a settings class: equal settings by every route, and one readable line per problem."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
import yaml
from annotated_types import Ge, Gt, Le, Lt
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, model_validator

from models.errors import SettingsInvalid
from models.settings.collect import CollectSettings
from models.settings.command_line import (
    Translated,
    as_flags,
    dump_settings,
    load_settings,
    parse_command,
    parse_settings,
    settings_in_place,
)
from models.settings.contrastive import EmbeddingsSettings
from models.settings.decision import Argmax, BestF1, ThresholdSweep
from models.settings.evaluate import EvaluateSettings
from models.settings.fields import Settings
from models.settings.flags import inner_metadata, is_mapping, is_sequence, literal_values, member_models, union_members
from models.settings.gnn import GnnSettings
from models.settings.predict import PredictSettings
from models.settings.preprocess import PreprocessSettings
from models.settings.probe import ProbeSettings
from models.settings.reranking import CrossEncoderSettings, PatchRankerSettings, RerankerSettings
from models.settings.text_encoder import SmallEncoder
from models.settings.train import TrainSettings
from models.settings.transformer import TransformerSettings


class Graph(Settings):
    """A model of graphs."""

    kind: Literal["graph"] = "graph"
    epochs: Annotated[int, Field(gt=0)] = 5
    """Passes over the data [epochs]."""
    use_types: bool = True
    """Whether edges have types."""


class Sequence(Settings):
    """A model of tokens."""

    kind: Literal["sequence"] = "sequence"
    epochs: Annotated[int, Field(gt=0)] = 3
    """Passes over the data [epochs]."""
    layers: tuple[int, ...] = (1, 2)
    """Width of each layer."""


class Place(Settings):
    """Where to work."""

    device: Literal["auto", "off"] = "auto"
    """Device."""
    ports: dict[str, int] = Field(default={})
    """Port of each service."""


class Program(Settings):
    """Everything a command line has to say."""

    data: Path
    """Where the data are."""
    name: str | None = None
    """A name; empty: none."""
    parts: tuple[str, ...] = ("a",)
    """Parts of it."""
    bits: Literal[8, 16] = 8
    """Bits of a number [bits]."""
    quick_test: bool = False
    """Only a little (100 %)."""
    model: Annotated[Graph | Sequence, Field(discriminator="kind")] = Graph(epochs=7)
    """What learns."""
    place: Place = Place()
    """Where to work."""

    @model_validator(mode="after")
    def _name_is_not_data(self) -> Program:
        if self.name is not None and self.name == str(self.data):
            raise ValueError(f"name={self.name!r} must differ from data")
        return self


class Options(Settings):
    """Of the program."""

    output_dir: Path = Path("out")
    """Where results go."""


ALIASES = {"epochs": "model.epochs", "where": "place.device"}


def parse(*argv: str, **options: Any) -> Program:
    return parse_settings(Program, argv, prog="program", aliases=ALIASES, **options)


def refusal(capsys: pytest.CaptureFixture[str], *argv: str) -> list[str]:
    """The lines told about a command line that is wrong."""
    with pytest.raises(SystemExit) as stopped:
        parse(*argv)
    assert stopped.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert lines.pop() == "program: --help explains every flag"
    return [line.removeprefix("program: ") for line in lines]


def values(annotation: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    """Values that a field of our settings accepts."""
    choices = literal_values(annotation)
    if choices:
        return st.sampled_from(choices)
    if member_models(annotation):
        return st.one_of(*(instances(model) for model in member_models(annotation)))
    metadata = [*metadata, *inner_metadata(annotation)]
    return st.one_of(*(scalar(member, metadata) for member in union_members(annotation)))


def scalar(member: Any, metadata: list[Any]) -> st.SearchStrategy[Any]:
    bounds = {type(item): item for item in metadata if isinstance(item, (Ge, Gt, Le, Lt))}
    low = bounds[Ge].ge if Ge in bounds else bounds[Gt].gt if Gt in bounds else -100
    high = bounds[Le].le if Le in bounds else bounds[Lt].lt if Lt in bounds else 10**6
    text = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=8)
    for pattern in (item.pattern for item in metadata if getattr(item, "pattern", None)):
        shaped = st.from_regex(pattern, fullmatch=True, alphabet=st.characters(codec="ascii"))
        text = shaped.filter(lambda word: not word.endswith("\n"))  # Python's $ allows it, pydantic's does not
    # An optional text cannot be the word that stands for nothing.
    text = text.filter(lambda word: word.lower() not in ("null", "none"))
    if is_sequence(member):
        return st.lists(values(get_args(member)[0], []), max_size=3).map(tuple)
    if is_mapping(member):
        return st.dictionaries(text, values(get_args(member)[1], []), max_size=3)
    by_type = {
        bool: st.booleans(),
        int: st.integers(int(low) + (Gt in bounds), int(high) - (Lt in bounds)),
        float: st.floats(low, high, exclude_min=Gt in bounds, exclude_max=Lt in bounds),
        str: text,
        Path: text.map(Path),
        type(None): st.none(),
    }
    bare = get_args(member)[0] if hasattr(member, "__metadata__") else member
    return by_type[bare]


BOUND_TO_OTHERS: dict[type[BaseModel], dict[str, st.SearchStrategy[Any]]] = {
    SmallEncoder: {  # no layer at all is an embedding layer of family roberta
        "hidden_dim": st.sampled_from([64, 128, 720]),
        "num_heads": st.sampled_from([1, 2, 4, 8]),
        "num_layers": st.integers(1, 48),
    },
    ThresholdSweep: {
        "low": st.sampled_from([0.0, 0.25, 0.3, 0.5]),
        "high": st.sampled_from([0.5, 0.7, 1.0]),
        "step": st.sampled_from([0.05, 0.01, 0.0001]),
    },
    TransformerSettings: {"reads_with": st.just("encoder")},  # with a decoder, pooling is settled
    **{
        reader: {"reads_with": st.just("encoder"), "warmup_steps": st.integers(0, 999)}
        for reader in (EmbeddingsSettings, CrossEncoderSettings, PatchRankerSettings)
    },
    RerankerSettings: {"encoder": st.just(Path("embeddings")), "warmup_steps": st.integers(0, 999)},
    TrainSettings: {  # a fold is left out of folds, and drawing needs weights
        "folds": st.just(Path("folds")),
        "left_out_fold": st.integers(0, 9),
        "weights": st.just(Path("weights.jsonl")),
    },
    PredictSettings: {  # held_out needs folds, probes a purpose
        "splits": st.sampled_from([("held_out",), ("valid", "held_out"), ("held_out", "train")]),
        "folds": st.just(Path("folds")),
        "open_test": st.sampled_from(["a report", "to see"]),
        "probes": st.dictionaries(st.sampled_from(["rename", "pairs_1"]), st.just(Path("probe"))),
    },
    EvaluateSettings: {"trials": st.just({}), "decision": st.sampled_from([BestF1(), Argmax(), ThresholdSweep()])},
}
"""Fields whose bounds other fields give."""


def instances(settings_class: type[BaseModel]) -> st.SearchStrategy[Any]:
    fields = {}
    for name, info in settings_class.model_fields.items():
        patterns = [item.pattern for item in info.metadata if getattr(item, "pattern", None)]
        if patterns:
            fields[name] = st.from_regex(re.compile(patterns[0], re.ASCII), fullmatch=True)
        else:
            fields[name] = values(info.annotation, info.metadata)
    fields |= BOUND_TO_OTHERS.get(settings_class, {})
    return st.builds(settings_class, **fields)


@pytest.mark.parametrize(
    "settings_class", [PreprocessSettings, TrainSettings, PredictSettings, EvaluateSettings, Graph, Sequence, Place]
)
def test_settings_survive_file_and_flags(settings_class: type[BaseModel], tmp_path: Path) -> None:
    @hypothesis_settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(instances(settings_class))
    def every_route_agrees(settings: BaseModel) -> None:
        (tmp_path / "s.json").write_text(json.dumps(dump_settings(settings)))
        (tmp_path / "s.yaml").write_text(yaml.safe_dump(dump_settings(settings)))
        assert load_settings(settings_class, tmp_path / "s.json") == settings
        from_file = load_settings(settings_class, tmp_path / "s.yaml")
        assert from_file == settings
        assert parse_settings(settings_class, as_flags(from_file), prog="p") == settings
        assert parse_settings(settings_class, ["--config", str(tmp_path / "s.yaml")], prog="p") == settings

    every_route_agrees()


def test_kebab_and_snake_case_and_aliases_are_the_same() -> None:
    expected = parse("--data=d", "--quick-test", "--model.epochs", "9", "--place.device", "off")
    assert parse("--data", "d", "--quick_test", "--epochs=9", "--where", "off") == expected
    assert parse("--data", "d", "--quick-test=on", "--model.use-types", "on", "--epochs=9", "--where=off") == expected


def test_an_alias_with_a_value_is_a_bare_switch_that_sets_it(capsys: pytest.CaptureFixture[str]) -> None:
    aliases = {"mixed-precision": "compute.precision=auto"}
    argv = ["--train-data", "t", "--val-data", "v"]
    for flags, precision in (
        (["--compute.precision", "bf16", "--mixed-precision"], "auto"),
        (["--mixed_precision", "--compute.precision", "bf16"], "bf16"),  # the last one counts, as with any flag
        (["--mixed-precision", "--seed", "3"], "auto"),
    ):
        assert parse_settings(TrainSettings, [*argv, *flags], prog="p", aliases=aliases).compute.precision == precision
    with pytest.raises(SystemExit):
        parse_settings(TrainSettings, ["--help"], prog="p", aliases=aliases)
    assert "--mixed-precision the same as --compute.precision auto" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("flag", ["--no-model.use-types", "--model.no-use_types", "--model.use-types=false"])
def test_a_switch_is_turned_off(flag: str) -> None:
    assert parse("--data", "d", flag).model == Graph(epochs=7, use_types=False)


def test_the_priority_is_flag_environment_file_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("data: file\nname: file\nbits: 16\n")
    monkeypatch.setenv("MY_DATA", "env")
    monkeypatch.setenv("MY_NAME", "env")
    monkeypatch.setenv("BITS", "8")  # not listed, so not read
    program = parse("--config", str(config), "--name", "flag", environment={"MY_DATA": "data", "MY_NAME": "name"})
    assert (program.data, program.name, program.bits) == (Path("env"), "flag", 16)
    assert program.parts == ("a",)


def switch_and_names(text: str) -> dict[str, str]:
    if text not in ("0", "1"):
        raise ValueError("expected 0 or 1")
    return {"model.use_types": {"0": "off", "1": "on"}[text], "name": f"env-{text}"}


def test_a_variable_may_set_several_fields_in_words_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {"MY_SWITCH": Translated(("model.use_types", "name"), switch_and_names), "MY_BITS": "bits"}
    monkeypatch.setenv("MY_SWITCH", "0")
    config = tmp_path / "c.yaml"
    config.write_text("data: d\nname: file\n")

    from_flag = parse("--config", str(config), "--name", "flag", environment=environment)
    assert (from_flag.name, from_flag.model) == ("flag", Graph(epochs=7, use_types=False))
    in_place = settings_in_place(Program, config, environment)
    assert (in_place.name, in_place.model) == ("env-0", Graph(epochs=7, use_types=False))

    with pytest.raises(SystemExit):
        parse("--help", environment=environment)
    assert " ".join(capsys.readouterr().out.split()).count("environment: MY_SWITCH") == 2
    monkeypatch.setenv("MY_SWITCH", "yes")
    with pytest.raises(SystemExit):
        parse("--data", "d", environment=environment)
    assert "MY_SWITCH: expected 0 or 1, got 'yes'" in capsys.readouterr().err
    with pytest.raises(SettingsInvalid, match="MY_SWITCH: expected 0 or 1"):
        settings_in_place(Program, config, environment)


def test_a_flag_changes_one_field_of_a_nested_default() -> None:
    assert parse("--data", "d", "--no-model.use-types").model == Graph(epochs=7, use_types=False)


def test_a_file_says_a_nested_model_whole_as_the_form_does(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("data: d\nmodel: {kind: graph, use_types: false}\n")
    expected = Program.model_validate({"data": "d", "model": {"kind": "graph", "use_types": False}})
    assert parse("--config", str(config)) == expected
    assert expected.model.epochs == 5


def test_another_kind_starts_from_its_own_defaults() -> None:
    assert parse("--data", "d", "--model.kind", "sequence", "--model.layers", "3,4").model == Sequence(layers=(3, 4))


def test_containers_understand_plain_text_and_json() -> None:
    program = parse(
        "--data=d", "--parts", "a,b", "--parts", '["c,d"]', "--place.ports", "x=1", "--place.ports", '{"y": 2}'
    )
    assert program.parts == ("a", "b", "c,d")
    assert program.place.ports == {"x": 1, "y": 2}
    assert parse("--data=d", "--model", '{"kind": "sequence"}', "--epochs", "4").model == Sequence(epochs=4)


def test_entries_of_a_mapping_are_said_by_path_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--clean", "c", "--sources", "a=rows.jsonl", "--sources", 'b={"data": "more", "max_rows": 9}']
    settings = parse_settings(CollectSettings, argv, prog="p")
    assert {name: (str(source.data), source.max_rows) for name, source in settings.sources.items()} == {
        "a": ("rows.jsonl", None),
        "b": ("more", 9),
    }
    for wrong, told in {'a={"dat": 1}': "--sources [a] [dat]: unknown key; did you mean data?", "a=": "got ''"}.items():
        with pytest.raises(SystemExit):
            parse_settings(CollectSettings, ["--clean", "c", "--sources", wrong], prog="p")
        assert told in capsys.readouterr().err
    with pytest.raises(SystemExit):
        parse_settings(CollectSettings, ["--help"], prog="p")
    assert "fields: data, format, max_rows" in " ".join(capsys.readouterr().out.split())


def test_a_field_that_one_kind_needs_is_told_with_the_kind(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_settings(ProbeSettings, ["--help"], prog="p")
    assert "(required for kind pairs)" in " ".join(capsys.readouterr().out.split())


def test_off_in_yaml_is_the_word_off(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("data: d\nplace: {device: off}\nquick_test: yes\n")
    program = parse("--config", str(config))
    assert program.place.device == "off"
    assert program.quick_test


def test_options_of_the_program_are_no_settings_of_the_job() -> None:
    program, options = parse_command(Program, Options, ["--data", "d", "--output_dir", "o"], prog="program")
    assert options == Options(output_dir=Path("o"))
    assert program == Program(data=Path("d"))


def test_every_problem_is_one_line_that_names_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, "--epochs", "0", "--bits", "9", "--where", "gpu") == [
        "--data: is required (Where the data are.)",
        "--bits: expected 8 or 16, got '9' (Bits of a number [bits].)",
        "--epochs: expected greater than 0, got '0' (Passes over the data [epochs].)",
        "--where: expected 'auto' or 'off', got 'gpu' (Device.)",
    ]


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--epoch", "3"], "--epoch: no such flag; did you mean --epochs?"),
        (["--dta=x"], "--dta: no such flag; did you mean --data?"),
        (["--model.use_type"], "--model.use_type: no such flag; did you mean --model.use-types?"),
        (["--zzzz", "1"], "--zzzz: no such flag"),
        (["--data", "d", "stray"], "'stray': expected a flag; values follow their flag"),
        (["--data"], "--data: expected one argument"),
        (["--data", "d", "--place.ports", "x"], "--place.ports: expected NAME=VALUE or a JSON object, got 'x'"),
        (["--data", "d", "--name", "d"], "name='d' must differ from data"),
        (["--data", "d", "--model.kind", "tree"], "--model.kind: expected 'graph', 'sequence', got 'tree'"),
        (
            ["--data", "d", "--model.kind", "sequence", "--model.use-types"],
            "--model.use-types: unknown key; expected one",
        ),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(
    argv: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = refusal(capsys, *argv)
    assert len(lines) == 1
    assert lines[0].startswith(line)


def test_unreadable_json_is_told_with_its_flag(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = refusal(capsys, "--data", "d", "--parts", '["a"')
    assert line.startswith("--parts: expected JSON")


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ("data: d\nquick_tst: true\n", "quick_tst: unknown key; did you mean quick_test?"),
        ("data: d\nplace: {devise: auto}\n", "place.devise: unknown key; did you mean device?"),
        ("data: d\nmodel: {kind: graph, epochs: 0}\n", "model.epochs: expected greater than 0, got 0"),
        ("data: d\nmodel: {epochs: 1}\n", "model: must say its kind"),
        ("data: d\nmodel: {kind: tree}\n", "model.kind: expected 'graph', 'sequence', got 'tree'"),
        ("name: d\n", "data: is required"),
    ],
)
def test_a_wrong_file_is_told_with_file_and_key(document: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(document)
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(Program, path)
    assert str(refused.value).startswith(f"{path}: {line}")


def test_a_wrong_file_is_told_with_file_and_key_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("data: d\nbits: 9\nmodel: {kind: graph, epochz: 3}\n")
    assert refusal(capsys, "--config", str(path)) == [
        f"{path}: bits: expected 8 or 16, got 9 (Bits of a number [bits].)",
        f"{path}: model.epochz: unknown key; did you mean epochs?",
    ]


def test_a_missing_model_is_told_by_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    class Flow(Settings):
        program: Program
        place: Place
        choice: Annotated[Graph | Sequence, Field(discriminator="kind")]

    with pytest.raises(SystemExit):
        parse_settings(Flow, [], prog="flow")
    assert capsys.readouterr().err.splitlines()[:-1] == [
        "flow: --program.data: is required (Where the data are.)",
        "flow: --place: is required",
        "flow: --choice: is required",
    ]


def test_a_flag_hides_no_error_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("data: d\nplace: 3\n")
    (line,) = refusal(capsys, "--config", str(path), "--where", "off")
    assert line.startswith(f"{path}: place: expected")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("missing.yaml", None, "expected a readable settings file"),
        ("latin.yaml", b"data: \xff", "not UTF-8"),
        ("list.yaml", b"- a", "expected a mapping"),
        ("broken.yaml", b"data: [", "expected YAML"),
        ("twice.yaml", b"data: a\ndata: b", "given twice"),
        ("twice.json", b'{"data": "a", "data": "b"}', "given twice"),
        ("broken.json", b"{", "expected JSON"),
    ],
)
def test_an_unusable_file_is_refused(name: str, content: bytes | None, problem: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsInvalid, match=problem) as refused:
        load_settings(Program, tmp_path / name)
    assert str(tmp_path / name) in str(refused.value)


def test_help_explains_every_field_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse("--help", environment={"MY_DATA": "data"})
    assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for part in (
        "--data PATH Where the data are. (required; environment: MY_DATA)",
        "--bits {8,16} Bits of a number [bits]. (default: 8)",
        "--quick-test [on|off] Only a little (100 %). (default: off)",
        "--model.epochs INT, --epochs INT Passes over the data [epochs]. (default: 7 or 3; > 0)",
        "--model.kind {graph,sequence}",
        "--model.use-types [on|off] Whether edges have types. (default: on; off by --no-model.use-types)",
        "--place.ports NAME=VALUE Port of each service. (default: empty)",
    ):
        assert part in text


@pytest.mark.parametrize("settings_class", [PreprocessSettings, TrainSettings, PredictSettings, EvaluateSettings])
def test_every_field_of_a_job_is_explained(settings_class: type[BaseModel]) -> None:
    def undescribed(model: type[BaseModel]) -> list[str]:
        return [
            f"{model.__name__}.{name}"
            for name, info in model.model_fields.items()
            if name != "kind" and not info.description
        ] + [
            line
            for info in model.model_fields.values()
            for inner in member_models(info.annotation)
            for line in undescribed(inner)
        ]

    assert undescribed(settings_class) == []


def test_the_seed_flags_of_the_graph_network_are_understood() -> None:
    aliases = {name.replace("_", "-"): f"model.{name}" for name in GnnSettings.model_fields if name != "kind"}
    argv = ["--train-data", "t", "--val-data", "v", "--epochs", "100", "--auto-batch-size"]
    settings = parse_settings(TrainSettings, argv, prog="p", aliases=aliases)
    assert settings.model == GnnSettings(epochs=100, auto_batch_size=True)


def test_the_command_line_loads_nothing_heavy() -> None:
    code = "import sys, models.settings.command_line; print(sorted({'torch','numpy','prefect'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
