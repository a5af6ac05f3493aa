"""Where backbones come from: folders and caches are real files, the hub is a small server here that answers as it does.

What this cannot show: that the public hub still answers so; it was never asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from models.data.backbone_files import (
    BackboneFiles,
    choose_backbone,
    fetch_backbone,
    weights_files,
)
from models.data.model_hub import ModelHub
from models.data.tokenizer_files import save_tokenizer
from models.errors import SettingsInvalid, StoreUnavailable
from models.settings.text_encoder import CODEBERT, PINNED_REVISIONS, SmallEncoder
from models.settings.transformer import TransformerSettings

NAME = "lab/tiny"
COMMIT, OTHER_COMMIT = "a" * 40, "b" * 40
CONFIG = {"model_type": "roberta", "vocab_size": 500, "max_position_embeddings": 514, "pad_token_id": 1}
NOWHERE = "http://127.0.0.1:9"


def asked(**changes: Any) -> TransformerSettings:
    return TransformerSettings(**{"backbone": NAME, **changes})


def write_backbone(
    folder: Path,
    tokenizer: Tokenizer,
    *,
    config: dict[str, Any] = CONFIG,
    weights: tuple[str, ...] = ("model.safetensors",),
) -> Path:
    """A complete folder; the weights are never read here, so they are empty."""
    save_tokenizer(tokenizer.to_str(), folder)
    (folder / "config.json").write_text(json.dumps(config))
    for name in weights:
        (folder / name).touch()
    return folder


def write_index(folder: Path, entry: str, parts: list[str]) -> None:
    (folder / entry).write_text(json.dumps({"weight_map": {f"w{at}": part for at, part in enumerate(parts)}}))


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    return write_backbone(tmp_path / "backbone", tokenizer)


@pytest.fixture
def cache(tmp_path: Path, tokenizer: Tokenizer) -> Path:
    """A hub cache that holds the whole of one commit, which it knows as main."""
    repository = tmp_path / "hub" / "models--lab--tiny"
    write_backbone(repository / "snapshots" / COMMIT, tokenizer)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    return tmp_path / "hub"


# What is chosen offline.


def test_a_complete_folder_is_chosen_and_its_content_is_left_to_the_run_key(folder: Path) -> None:
    choice = choose_backbone(asked(backbone=str(folder)))

    assert choice.files == BackboneFiles(str(folder), folder, None, CONFIG)
    assert (choice.family, choice.identity, choice.reason) == ("roberta", "folder", "")


def test_a_name_is_found_in_the_cache_at_the_commit_that_main_stands_for(cache: Path) -> None:
    choice = choose_backbone(asked(), ModelHub(cache_path=cache, endpoint=NOWHERE))

    assert choice.files is not None
    assert (choice.files.revision, choice.files.folder.name) == (COMMIT, COMMIT)
    assert choice.identity == f"{NAME}@{COMMIT}"


def test_the_cache_is_found_through_its_usual_variable(cache: Path) -> None:
    program = (
        "from models.data.backbone_files import choose_backbone\n"
        "from models.settings.transformer import TransformerSettings\n"
        f"print(choose_backbone(TransformerSettings(backbone={NAME!r}, pretrained='required')).identity)\n"
        "import sys\n"
        "assert not {'torch', 'transformers'} & sys.modules.keys()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={"HF_HUB_CACHE": str(cache)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"{NAME}@{COMMIT}"


def test_the_commit_of_the_settings_wins_and_another_in_the_cache_does_not_stand_in(cache: Path) -> None:
    hub = ModelHub(cache_path=cache)
    assert choose_backbone(asked(revision=COMMIT), hub).identity == f"{NAME}@{COMMIT}"

    choice = choose_backbone(asked(revision=OTHER_COMMIT), hub)

    assert choice.files is None
    assert choice.identity == "small roberta, trained from nothing"
    assert f"{NAME}@{OTHER_COMMIT}" in choice.detail


def test_codebert_without_a_revision_is_looked_up_at_the_pinned_commit(tmp_path: Path) -> None:
    choice = choose_backbone(TransformerSettings(), ModelHub(cache_path=tmp_path))
    assert f"no weights of {CODEBERT}@{PINNED_REVISIONS[CODEBERT]} in the local cache ({tmp_path} has" in choice.detail


def test_off_takes_the_small_encoder_whatever_there_is(folder: Path) -> None:
    choice = choose_backbone(asked(backbone=str(folder), pretrained="off", small={"family": "t5"}))
    assert (choice.files, choice.reason) == (None, "pretrained is off")
    assert (choice.family, choice.identity) == ("t5", "small t5, trained from nothing")


@pytest.mark.parametrize(
    ("name", "flags"),
    [(NAME, "--model.allow-network true and --model.revision COMMIT "), (CODEBERT, "--model.allow-network true ")],
)
def test_a_required_name_that_is_nowhere_is_refused_in_one_line_with_both_remedies(
    name: str, flags: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        choose_backbone(asked(backbone=name, pretrained="required"), ModelHub(cache_path=tmp_path))
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        name,
        f"Fetch it once with {flags}(",
        "path of a folder",
        "or train a small encoder from nothing with",
    ):
        assert part in message
    assert message.endswith("--model.pretrained off")


def test_a_small_encoder_without_a_decoder_does_not_stand_in_for_one_that_reads_with_it(tmp_path: Path) -> None:
    settings = asked(reads_with="encoder_decoder", pooling="eos")
    with pytest.raises(SettingsInvalid, match=rf"no weights of {NAME} .* small encoder is a roberta: .* to t5, or"):
        choose_backbone(settings, ModelHub(cache_path=tmp_path))
    with_t5 = settings.model_copy(update={"small": SmallEncoder(family="t5")})
    assert choose_backbone(with_t5, ModelHub(cache_path=tmp_path)).identity == "small t5, trained from nothing"


def test_the_config_is_checked_against_the_settings(folder: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"config\.json is of roberta"):
        choose_backbone(asked(backbone=str(folder), reads_with="encoder_decoder", pooling="eos"))


@pytest.mark.parametrize("removed", ["model.safetensors", "tokenizer.json"])
def test_a_cache_that_lacks_a_part_has_no_backbone(cache: Path, removed: str) -> None:
    snapshot = cache / "models--lab--tiny" / "snapshots" / COMMIT
    (snapshot / removed).unlink()
    (snapshot / "tokenizer_config.json").unlink()
    hub = ModelHub(cache_path=cache)

    assert removed.split(".")[0] in choose_backbone(asked(), hub).detail
    with pytest.raises(SettingsInvalid, match="it is required"):
        choose_backbone(asked(pretrained="required"), hub)


@pytest.mark.parametrize("name", ["/nowhere/at/all", "../backbone", "a/b/c"])
def test_a_path_that_does_not_exist_is_no_name_and_never_replaced(name: str) -> None:
    with pytest.raises(SettingsInvalid, match="no folder at"):
        choose_backbone(asked(backbone=name))


# Folders that are there and broken.


@pytest.mark.parametrize("pretrained", ["auto", "required"])
@pytest.mark.parametrize(
    ("removed", "message"),
    [
        (["config.json"], r"has no config\.json"),
        (["model.safetensors"], r"has no weights \(model\.safetensors, "),
        (["tokenizer.json", "tokenizer_config.json"], "has no tokenizer"),
    ],
)
def test_a_folder_that_lacks_a_part_is_refused(folder: Path, removed: list[str], message: str, pretrained: str) -> None:
    for name in removed:
        (folder / name).unlink()
    with pytest.raises(SettingsInvalid, match=message):
        choose_backbone(asked(backbone=str(folder), pretrained=pretrained))


def test_a_part_that_an_index_names_must_be_there(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    write_index(folder, "model.safetensors.index.json", parts)
    (folder / parts[0]).touch()
    with pytest.raises(
        SettingsInvalid, match=r"no model-00002-of-00002\.safetensors, which .*index\.json names \(1 of"
    ):
        choose_backbone(asked(backbone=str(folder)))

    (folder / parts[1]).touch()
    assert choose_backbone(asked(backbone=str(folder))).identity == "folder"
    assert weights_files(folder).parts == tuple(parts)


@pytest.mark.parametrize("index", ['{"weight_map": {"w": "../elsewhere.bin"}}', '{"weight_map": {}}', "[1]", "{"])
def test_an_index_that_leads_elsewhere_or_is_damaged_is_refused(folder: Path, index: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin.index.json").write_text(index)
    with pytest.raises(SettingsInvalid, match="index"):
        choose_backbone(asked(backbone=str(folder)))


def test_a_damaged_config_is_named(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(SettingsInvalid, match=r"config\.json cannot be read"):
        choose_backbone(asked(backbone=str(folder)))


def test_a_revision_of_a_folder_is_refused(folder: Path) -> None:
    with pytest.raises(SettingsInvalid, match="revision belongs to a name"):
        choose_backbone(asked(backbone=str(folder), revision=COMMIT))


# The hub.


class FakeHub(BaseHTTPRequestHandler):
    """Two addresses of the hub: what a commit holds, and a file of it."""

    files: dict[str, bytes]
    asked: list[str]

    def do_GET(self) -> None:
        place = self.path.split("?")[0]
        self.asked.append(f"{self.command} {place}")
        if place == f"/api/models/{NAME}/revision/{COMMIT}":
            body = {"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": name} for name in self.files]}
            self.answer(200, json.dumps(body).encode(), {"Content-Type": "application/json"})
            return
        file_name = place.removeprefix(f"/{NAME}/resolve/{COMMIT}/")
        if file_name == place:
            self.answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        elif file_name not in self.files:
            self.answer(404, b"", {"X-Error-Code": "EntryNotFound"})
        else:
            self.answer(200, self.files[file_name], {"ETag": f'"{file_name}"', "X-Repo-Commit": COMMIT})

    do_HEAD = do_GET

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(folder: Path, tmp_path: Path) -> Iterator[ModelHub]:
    """A hub that has the folder's files (and one that nobody needs), with an empty cache."""
    FakeHub.files = {path.name: path.read_bytes() for path in folder.iterdir()} | {"tf_model.h5": b"large"}
    FakeHub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield ModelHub(endpoint=f"http://127.0.0.1:{server.server_port}", cache_path=tmp_path / "hub")
    server.shutdown()
    server.server_close()
    thread.join()


ONLINE = asked(revision=COMMIT, allow_network=True)


def test_planning_fetches_the_config_alone_and_the_job_the_rest(hub: ModelHub) -> None:
    choice = choose_backbone(ONLINE, hub)
    assert choice.identity == f"{NAME}@{COMMIT}"
    assert choice.files is not None
    assert {path.name for path in choice.files.folder.iterdir()} == {"config.json"}

    fetch_backbone(choice.files, ONLINE, hub)

    names = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    assert {path.name for path in choice.files.folder.iterdir()} == names
    num_asked = len(FakeHub.asked)
    assert choose_backbone(ONLINE, hub) == choice
    assert choose_backbone(asked(revision=COMMIT), hub) == choice
    fetch_backbone(choice.files, ONLINE, hub)
    assert len(FakeHub.asked) == num_asked


def test_safetensors_are_preferred_and_all_parts_of_an_index_fetched(hub: ModelHub) -> None:
    del FakeHub.files["model.safetensors"]
    parts = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    index = json.dumps({"weight_map": {"a": parts[0], "b": parts[1]}}).encode()
    FakeHub.files |= {"pytorch_model.bin.index.json": index, parts[0]: b"1", parts[1]: b"2"}
    files = choose_backbone(ONLINE, hub).files
    assert files is not None

    fetch_backbone(files, ONLINE, hub)

    assert weights_files(files.folder) == ("pytorch_model.bin.index.json", tuple(parts))
    assert (files.folder / parts[1]).read_bytes() == b"2"


def test_a_name_without_a_commit_is_not_fetched(hub: ModelHub) -> None:
    with pytest.raises(SettingsInvalid, match=rf"huggingface\.co/{NAME}/commits/main .*--model\.revision"):
        choose_backbone(asked(allow_network=True), hub)
    assert FakeHub.asked == []


def test_what_the_hub_has_not_is_a_wrong_setting(hub: ModelHub) -> None:
    with pytest.raises(SettingsInvalid, match=f"the hub has no {NAME} at {OTHER_COMMIT}"):
        choose_backbone(asked(revision=OTHER_COMMIT, allow_network=True), hub)

    index = json.dumps({"weight_map": {"w": "model-00001-of-00001.safetensors"}}).encode()
    FakeHub.files["model.safetensors.index.json"] = index
    del FakeHub.files["model.safetensors"]
    files = choose_backbone(ONLINE, hub).files
    assert files is not None
    with pytest.raises(SettingsInvalid, match=r"the hub has no model-00001-of-00001\.safetensors"):
        fetch_backbone(files, ONLINE, hub)


def test_a_repository_without_weights_is_refused_when_the_run_is_planned(hub: ModelHub) -> None:
    del FakeHub.files["model.safetensors"]
    with pytest.raises(SettingsInvalid, match="on the hub has no weights"):
        choose_backbone(ONLINE, hub)


def test_a_hub_that_does_not_answer_stops_what_is_required_and_auto_goes_on_with_the_reason(tmp_path: Path) -> None:
    away = ModelHub(endpoint=NOWHERE, cache_path=tmp_path)
    with pytest.raises(StoreUnavailable) as caught:
        choose_backbone(ONLINE.model_copy(update={"pretrained": "required"}), away)
    assert caught.value.retryable

    choice = choose_backbone(ONLINE, away)
    assert choice.files is None
    assert f"the hub does not answer for {NAME} at {COMMIT}" in choice.detail


def test_weights_that_were_settled_on_are_waited_for(hub: ModelHub, tmp_path: Path) -> None:
    files = choose_backbone(ONLINE, hub).files
    assert files is not None
    away = ModelHub(endpoint=NOWHERE, cache_path=tmp_path / "hub")
    with pytest.raises(StoreUnavailable, match="does not answer") as caught:
        fetch_backbone(files, ONLINE, away)
    assert caught.value.retryable
