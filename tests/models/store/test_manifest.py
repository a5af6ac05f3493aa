from __future__ import annotations

import hashlib
import json

import pytest

from models.errors import ObjectCorrupt, ObjectMissing
from models.store.manifest import (
    FileDigest,
    digest_bytes,
    digest_file,
    read_manifest,
    verify_manifest,
    write_manifest,
)
from models.store.sealed import seal, unseal

KEYS = {"kind": "train", "run_key": "r", "build_key": "b"}


@pytest.fixture
def run_path(tmp_path):
    path = tmp_path / "run"
    (path / "tokenizer").mkdir(parents=True)
    (path / "result.json").write_text("{}")
    (path / "tokenizer" / "tokenizer.json").write_text("[1]")
    write_manifest(path, ["tokenizer/tokenizer.json", "result.json"], **KEYS)
    return path


def test_a_digest_read_in_pieces_is_that_of_the_whole(tmp_path):
    content = bytes(range(256)) * 9000
    (tmp_path / "file").write_bytes(content)
    expected = FileDigest(len(content), hashlib.sha256(content).hexdigest())
    assert digest_file(tmp_path / "file") == digest_bytes(content) == expected


def test_a_finished_run_verifies_and_says_what_it_is(run_path):
    verify_manifest(run_path)
    manifest = read_manifest(run_path)
    assert (manifest.kind, manifest.run_key, manifest.build_key) == ("train", "r", "b")
    assert list(manifest.files) == ["result.json", "tokenizer/tokenizer.json"]
    assert manifest.files["result.json"] == digest_bytes(b"{}")


def test_equal_files_give_equal_manifests_and_nothing_else_is_left(run_path):
    before = (run_path / "manifest.json").read_bytes()
    write_manifest(run_path, ["result.json", "tokenizer/tokenizer.json", "result.json"], **KEYS)
    assert (run_path / "manifest.json").read_bytes() == before
    assert sorted(path.name for path in run_path.iterdir()) == ["manifest.json", "result.json", "tokenizer"]
    assert json.loads(before)["kind"] == "train"


def test_a_run_without_manifest_is_unfinished(tmp_path):
    assert read_manifest(tmp_path) is None
    with pytest.raises(ObjectMissing, match=r"manifest\.json"):
        verify_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"{]", b"[]", b"{} ", b'{"kind": "train"'])
def test_a_changed_file_is_corrupt(run_path, content):
    (run_path / "result.json").write_bytes(content)
    with pytest.raises(ObjectCorrupt, match=r"result\.json"):
        verify_manifest(run_path)


def test_a_removed_file_is_missing(run_path):
    (run_path / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(ObjectMissing, match=r"tokenizer\.json"):
        verify_manifest(run_path)


def test_every_single_flipped_bit_of_a_manifest_is_seen_or_means_the_same(run_path):
    path = run_path / "manifest.json"
    good, manifest = path.read_bytes(), read_manifest(run_path)
    num_seen = 0
    for index in range(len(good)):
        path.write_bytes(good[:index] + bytes([good[index] ^ 1]) + good[index + 1 :])
        try:
            assert read_manifest(run_path) == manifest
        except ObjectCorrupt:
            num_seen += 1
    assert num_seen > len(good) * 0.8  # blanks may turn into other blanks


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "", "link/outside.txt", "a/../../outside.txt"])
def test_a_name_that_leaves_the_run_is_refused_when_written_and_when_read(run_path, name):
    (run_path.parent / "outside.txt").write_text("x")
    (run_path / "link").symlink_to(run_path.parent)
    with pytest.raises(ObjectCorrupt, match="leaves it"):
        write_manifest(run_path, [name], **KEYS)
    forged = {**KEYS, "files": {name: {"size_bytes": 1, "sha256": digest_bytes(b"x").sha256}}}
    (run_path / "manifest.json").write_bytes(seal(forged))
    with pytest.raises(ObjectCorrupt, match="leaves it"):
        verify_manifest(run_path)


def test_a_sealed_document_of_other_fields_is_no_manifest(run_path):
    (run_path / "manifest.json").write_bytes(seal({"kind": "train"}))
    with pytest.raises(ObjectCorrupt, match="fields"):
        read_manifest(run_path)


def test_what_is_sealed_comes_back_with_infinities_and_order_does_not_matter():
    body = {"b": [1.5, float("inf")], "a": {"é": None}}
    assert unseal("key", seal(body)) == body
    assert seal(body) == seal(dict(reversed(body.items())))


def test_a_manifest_survives_a_power_cut_with_the_files_it_lists(tmp_path, lossy_filesystem):
    disk = lossy_filesystem(tmp_path)
    disk.make_folder(tmp_path / "run" / "tokenizer")
    disk.sync_folder(tmp_path)
    disk.write(tmp_path / "run" / "result.json", b"{}")
    disk.write(tmp_path / "run" / "tokenizer" / "tokenizer.json", b"[1]")
    write_manifest(tmp_path / "run", ["result.json", "tokenizer/tokenizer.json"], **KEYS, filesystem=disk)
    disk.crash(None)
    verify_manifest(tmp_path / "run")
