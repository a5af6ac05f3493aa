from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import Field, ValidationError

from models.errors import ObjectCorrupt, SettingsInvalid, StoreUnavailable
from models.jobs import keys
from models.jobs.command_line import SETTINGS_CLASSES
from models.jobs.keys import build_settings, content_digest, deciding, input_digests, role_of, run_key, sha256_of
from models.jobs.registry import OBJECTIVE_MODULES
from models.settings.fields import InputPath, Settings
from models.settings.flags import literal_values, member_models
from models.store.filesystem import disk_errors
from models.store.manifest import FileDigest, write_manifest

FieldPath = tuple[str, ...]


CLASSES: dict[str, tuple[type[Settings], str | None]] = {
    **{kind: (cls, None) for kind, cls in SETTINGS_CLASSES.items() if kind != "train"},
    **{f"train {model}": (SETTINGS_CLASSES["train"], model) for model in OBJECTIVE_MODULES},
}
"""Settings by what they run, with the kind of model among those that they may hold."""


def leaves(cls: type[Settings], model: str | None, above: FieldPath = ()) -> Iterator[tuple[FieldPath, Any]]:
    """Every field that holds no settings itself, with its path."""
    for name, info in cls.model_fields.items():
        members = member_models(info.annotation)
        for member in members:
            if len(members) == 1 or member.model_fields["kind"].default == model:
                yield from leaves(member, model, (*above, name))  # type: ignore[arg-type]
        if not members:
            yield (*above, name), info


def is_constant(info: Any) -> bool:
    return len(get_args(info.annotation)) == 1 and info.default in get_args(info.annotation)


BOUND_TO_OTHERS = {
    "rank.trials",
    "evaluate.trials",
    "train transformer.model.reads_with",
    *(f"train {model}.left_out_fold" for model in OBJECTIVE_MODULES),
    "predict.splits",
    "predict.folds",
    "predict.probes",
    "collect.sources",
    "collect.pairs",
    "compare.systems",
    "compare.comparisons",
    "judge.systems",
    *(f"train {model}.model.reads_with" for model in ("embeddings", "cross_encoder", "patch_ranker")),
}
"""Fields that no other value fits while the rest stays; they have tests of their own."""

ALL_FIELDS = [
    pytest.param(kind, path, role_of(info), id=f"{kind}.{'.'.join(path)}")
    for kind, (cls, model) in CLASSES.items()
    for path, info in leaves(cls, model)
    if not is_constant(info) and f"{kind}.{'.'.join(path)}" not in BOUND_TO_OTHERS
]


@pytest.fixture
def documents(tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Settings of every kind, as JSON, whose inputs exist."""
    for name in ("raw", "run", "predictions"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "content.jsonl").write_text(name)
    file = str(tmp_path / "raw" / "content.jsonl")
    raw, run, predictions = (str(tmp_path / name) for name in ("raw", "run", "predictions"))
    trained = dict.fromkeys(("train_data", "val_data", "test_data", "weights", "texts"), file) | {"tokenizer": raw}
    trained |= {"folds": run, "left_out_fold": 0}
    return {
        "preprocess": {"data": raw},
        **{f"train {model}": trained | {"model": {"kind": model}} for model in OBJECTIVE_MODULES},
        "train reranker": trained | {"model": {"kind": "reranker", "encoder": run}},
        "predict": {"model_run": run, "data": raw},
        "evaluate": {"data": raw, "predictions": {"gnn": predictions}},
        "findings": {"data": raw},
        "rank": {"stage": "stage1", "train_data": file, "val_data": file, "trials": {"a": ranked(run)}},
        "collect": {"clean": raw, "sources": {"noisy": {"data": file}}},
        "audit": {"data": raw},
        "folds": {"data": raw},
        "probe": {"records": raw, "what": {"kind": "pairs", "data": run}},
        "weigh": {"data": raw, "folds": run, "out_of_fold": {"gnn": [predictions]}, "planted": file},
        "fuse": {"data": raw, "folds": run, "out_of_fold": {"gnn": [predictions]}, "bases": {"gnn": predictions}},
        "compare": {
            "data": raw,
            "same_data": [run],
            "probes": {"rename": run},
            "systems": {"a": {"title": "A", "phase": "phase1", "model_kind": "gnn", "predictions": {"1": predictions}}},
        },
        "balance": {"repos_root": raw, "labels": file, "before_after": file},
        "pairs": {"data": run},
        "candidates": {"data": file},
        "embed": {"model_run": run, "data": raw},
        "mine": {"data": raw, "vectors": run},
        "retrieve": {"data": raw, "vectors": run},
        "score": {"model_run": run, "lists": file, "texts": file, "purpose": "a test"},
        "boost": dict.fromkeys(("train_lists", "valid_lists", "held_out_lists"), file),
        "judge": {"lists": [file], "systems": {"a": {"title": "A", "scores": {"1": [predictions]}}}},
        "export": {"model_run": run},
    }


def ranked(run: str, seed: int = 1) -> dict[str, Any]:
    return {"run": run, "family": "f", "model": "m", "configuration": "m_lr1", "seed": seed}


def with_value(document: dict[str, Any], path: FieldPath, value: Any) -> dict[str, Any]:
    first, *rest = path
    return document | {first: with_value(document.get(first, {}), tuple(rest), value) if rest else value}


WORDS = ("another", "a" * 40)


def another(kind: str, document: dict[str, Any], path: FieldPath) -> Settings:
    """The settings with some other valid value in one field."""
    cls = CLASSES[kind][0]
    present: Any = cls.model_validate(document)
    info: Any = None
    for name in path:
        info, present = type(present).model_fields[name], getattr(present, name)
    choices = [choice for choice in literal_values(info.annotation) if choice != present]
    numbers = [present + 1, present / 2, present + 0.01] if isinstance(present, int | float) else [7]
    for value in [*choices, not present, *numbers, *WORDS, ["train"], ["python"], ["size"], [2], {"another": "text"}]:
        try:
            changed = cls.model_validate(with_value(document, path, value))
        except ValidationError:
            continue
        if changed != cls.model_validate(document):
            return changed
    raise AssertionError(f"no other value found for {path}")


@pytest.mark.parametrize(("kind", "path", "role"), ALL_FIELDS)
def test_each_field_moves_the_keys_that_its_role_says(
    kind: str, path: FieldPath, role: str, documents: dict[str, dict[str, Any]]
):
    document = documents[kind]
    cls = CLASSES[kind][0]
    settings = cls.model_validate(document)
    if role == "input":
        moves = input_moves(document, path)
        assert run_key(cls.model_validate(moves["same content elsewhere"])) == run_key(settings)
        assert run_key(cls.model_validate(moves["other content"])) != run_key(settings)
        return
    changed = another(kind, document, path)
    assert (run_key(changed) != run_key(settings)) == (role in ("decides", "named input"))
    assert (build_settings(changed) != build_settings(settings)) == (role == "build")


def input_moves(document: dict[str, Any], path: FieldPath) -> dict[str, dict[str, Any]]:
    """The input of a field copied to another place, as it was and with one byte more."""
    value: Any = document
    for name in path:
        value = value[name]
    source = Path(first_path(value))
    moves = {}
    for what, suffix in (("same content elsewhere", ""), ("other content", "!")):
        target = source.with_name(f"{source.name}-{len(what)}")
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
        file = target / "content.jsonl" if target.is_dir() else target
        file.write_text(file.read_text() + suffix)
        moves[what] = with_value(document, path, with_first_path(value, str(target)))
    return moves


def first_path(value: Any) -> str:
    """The path that an input holds, inside a mapping or a list too."""
    if isinstance(value, dict | list):
        return first_path(next(iter(value.values())) if isinstance(value, dict) else value[0])
    return str(value)


def with_first_path(value: Any, path: str) -> Any:
    """The same shape with another path."""
    if isinstance(value, dict):
        return {key: with_first_path(item, path) for key, item in value.items()}
    return [with_first_path(item, path) for item in value] if isinstance(value, list) else path


def test_a_trial_counts_by_what_it_says_and_by_the_content_of_its_run(
    documents: dict[str, dict[str, Any]], tmp_path: Path
):
    def key(trials: dict[str, Any]) -> str:
        return run_key(CLASSES["rank"][0].model_validate(documents["rank"] | {"trials": trials}))

    run, again, other = (str(tmp_path / name) for name in ("run", "again", "predictions"))
    shutil.copytree(run, again)
    assert key({"a": ranked(run)}) == key({"a": ranked(again)})
    different = [{"a": ranked(other)}, {"b": ranked(run)}, {"a": ranked(run, seed=2)}]
    different.append({"a": ranked(run), "b": ranked(run, seed=2)})
    assert len({key(trials) for trials in ({"a": ranked(run)}, *different)}) == 5


def test_what_a_frozen_model_is_a_trial_of_counts(documents: dict[str, dict[str, Any]], tmp_path: Path):
    frozen = documents["evaluate"] | {"decision": {"kind": "frozen", "ranking": str(tmp_path / "run")}}
    keys = [
        run_key(CLASSES["evaluate"][0].model_validate(frozen | {"trials": {"gnn": {"configuration": c, "model": "m"}}}))
        for c in ("m_lr1", "m_lr2")
    ]
    assert keys[0] != keys[1]


def test_what_reads_the_text_counts(documents: dict[str, dict[str, Any]]):
    model = {"kind": "transformer", "pooling": "eos", "small": {"family": "t5"}}
    keys = [
        run_key(
            CLASSES["train transformer"][0].model_validate(
                documents["train transformer"] | {"model": {**model, "reads_with": reader}}
            )
        )
        for reader in ("encoder", "encoder_decoder")
    ]
    assert keys[0] != keys[1]


def test_every_role_occurs_so_that_the_test_above_tests_something():
    assert {parameter.values[2] for parameter in ALL_FIELDS} == {
        "decides",
        "input",
        "named input",
        "build",
        "incidental",
    }


class ManyInputs(Settings):
    kind: str = "many"
    by_name: dict[str, InputPath] = Field(default_factory=dict)
    in_order: tuple[InputPath, ...] = ()
    maybe: InputPath | None = None


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    paths = tuple(tmp_path / name for name in ("a", "b", "a-again"))
    for path, text in zip(paths, ("a", "b", "a"), strict=True):
        path.write_text(text)
    return paths


def test_inputs_in_mappings_tuples_and_options_count_by_content(files: tuple[Path, Path, Path]):
    a, b, again = files
    settings = ManyInputs(by_name={"x": a}, in_order=(a, b), maybe=b)
    assert run_key(settings) == run_key(ManyInputs(by_name={"x": again}, in_order=(again, b), maybe=b))
    others = [
        ManyInputs(by_name={"x": b}, in_order=(a, b), maybe=b),
        ManyInputs(by_name={"y": a}, in_order=(a, b), maybe=b),
        ManyInputs(by_name={"x": a}, in_order=(b, a), maybe=b),
        ManyInputs(by_name={"x": a}, in_order=(a, b), maybe=a),
        ManyInputs(by_name={"x": a}, in_order=(a, b)),
    ]
    assert len({run_key(other) for other in [settings, *others]}) == 1 + len(others)


def test_the_key_depends_on_no_order_of_fields_and_survives_json(documents: dict[str, dict[str, Any]]):
    cls = SETTINGS_CLASSES["train"]
    settings = cls.model_validate(documents["train transformer"])
    backwards = dict(reversed(settings.model_dump(mode="json").items()))
    assert run_key(cls.model_validate_json(json.dumps(backwards))) == run_key(settings)


def test_a_missing_input_is_refused_with_its_field_and_path(tmp_path: Path):
    with pytest.raises(SettingsInvalid, match=r"in_order.*no-such-file"):
        run_key(ManyInputs(in_order=(tmp_path / "no-such-file",)))


def test_input_digests_name_what_the_key_took(files: tuple[Path, Path, Path]):
    settings = ManyInputs(by_name={"x": files[0]})
    assert input_digests(settings) == {"by_name": {"x": content_digest(files[0])}, "in_order": []}
    assert deciding(settings)["by_name"] == {"x": content_digest(files[0])}


def test_input_digests_reach_into_settings_by_name(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text("{}")
    collect = SETTINGS_CLASSES["collect"].model_validate(
        {"clean": str(tmp_path), "sources": {"noisy": {"data": str(tmp_path / "rows.jsonl")}}}
    )
    assert input_digests(collect) == {
        "clean": content_digest(tmp_path),
        "sources": {"noisy": {"data": content_digest(tmp_path / "rows.jsonl")}},
    }


def test_a_folder_counts_by_names_and_bytes_of_its_visible_files(tmp_path: Path):
    (tmp_path / "x").write_text("1")
    before = content_digest(tmp_path)
    (tmp_path / ".temp").mkdir()
    (tmp_path / ".temp" / "y").write_text("2")
    assert content_digest(tmp_path) == before
    (tmp_path / "x").rename(tmp_path / "z")
    assert content_digest(tmp_path) != before


def test_a_finished_run_counts_by_its_listed_files_only(tmp_path: Path):
    (tmp_path / "weights").write_text("1")
    write_manifest(tmp_path, ["weights"], kind="train", run_key="k", build_key="b")
    before = content_digest(tmp_path)
    (tmp_path / "record.json").write_text("clocks")
    assert content_digest(tmp_path) == before
    (tmp_path / "weights").write_text("2")
    write_manifest(tmp_path, ["weights"], kind="train", run_key="k", build_key="b")
    assert content_digest(tmp_path) != before


@pytest.mark.parametrize("content", ["", "{", "[]", '{"name": "app", "version": 2}', '{"files": {}, "run_key": "x"}'])
def test_a_manifest_that_is_no_run_of_ours_is_a_file_like_others(tmp_path: Path, content: str):
    (tmp_path / "app.js").write_text("1")
    (tmp_path / "manifest.json").write_text(content)
    before = content_digest(tmp_path)
    assert before == content_digest(tmp_path)
    (tmp_path / "app.js").write_text("2")
    changed = content_digest(tmp_path)
    (tmp_path / "manifest.json").write_text(content + " ")
    assert len({before, changed, content_digest(tmp_path)}) == 3


def test_a_damaged_manifest_of_a_run_is_refused(tmp_path: Path):
    (tmp_path / "weights").write_text("1")
    write_manifest(tmp_path, ["weights"], kind="train", run_key="k", build_key="b")
    text = (tmp_path / "manifest.json").read_text()
    (tmp_path / "manifest.json").write_text(text.replace('"train"', '"other"'))
    with pytest.raises(ObjectCorrupt):
        content_digest(tmp_path)


def test_names_that_are_no_utf_8_count_by_their_bytes_and_ordinary_ones_as_ever(tmp_path: Path):
    digests = set()
    for name in (b"\xff", b"\xfe", "\udcff".encode("unicode_escape"), "\xff".encode()):
        folder = tmp_path / str(len(digests))
        folder.mkdir()
        Path(folder, os.fsdecode(name)).write_text("1")
        digests.add(content_digest(folder))
    assert len(digests) == 4
    (tmp_path / "plain" / "in").mkdir(parents=True)
    (tmp_path / "plain" / "in" / "é").write_text("1")
    assert content_digest(tmp_path / "plain") == sha256_of({"in/é": hashlib.sha256(b"1").hexdigest()})


def test_links_to_folders_are_not_entered_and_loops_harmless(tmp_path: Path):
    folder, outside = tmp_path / "in", tmp_path / "out"
    for path in (folder, outside):
        path.mkdir()
        (path / "x").write_text("1")
    before = content_digest(folder)
    (folder / "all").symlink_to(outside)
    (folder / "loop").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "gone").symlink_to(tmp_path / "gone")
    assert content_digest(folder) == before
    (folder / "file").symlink_to(outside / "x")  # those who read it see its bytes
    linked = content_digest(folder)
    (folder / "file").unlink()
    (folder / "file").write_text("1")
    assert linked == content_digest(folder) != before


def test_what_may_not_be_read_counts_as_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("x", "y"):
        (tmp_path / name).write_text("1")
    before, digest = content_digest(tmp_path), keys.digest_file

    def refusing(path: Path, error: type[OSError] = PermissionError) -> FileDigest:
        with disk_errors(path):  # root reads everything, so permissions prove nothing
            if path.name == "x":
                raise error(errno.EACCES if error is PermissionError else errno.EIO, "refused")
        return digest(path)

    monkeypatch.setattr(keys, "digest_file", refusing)
    found = content_digest(tmp_path)
    (tmp_path / "x").write_text("2")
    assert found == content_digest(tmp_path) != before
    monkeypatch.setattr(keys, "digest_file", lambda path: refusing(path, OSError))
    with pytest.raises(StoreUnavailable):
        content_digest(tmp_path)


def test_a_tokenizer_folder_enters_by_content_and_a_hub_name_by_name(
    documents: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    def key(tokenizer: str) -> str:
        return run_key(
            SETTINGS_CLASSES["preprocess"].model_validate(documents["preprocess"] | {"tokenizer": tokenizer})
        )

    folder, twin = tmp_path / "tokenizer", tmp_path / "twin"
    for path in (folder, twin):
        path.mkdir()
        (path / "vocab.json").write_text("{}")

    before = key(str(folder))

    assert key(str(twin)) == before
    assert key("microsoft/codebert-base") != key("Salesforce/codet5-base")
    (folder / "vocab.json").write_text('{"a": 0}')
    assert key(str(folder)) != before
