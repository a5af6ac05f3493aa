"""The code as it travels: same bytes for the same files, all of it, and nothing else."""

from __future__ import annotations

import os
import shutil

from models.start_in_container import unpack
from tasks.aws.bundle import ROOT_PATH, START_PATH, code_bundle, pack


def test_equal_files_give_equal_bytes_whatever_their_times_and_another_file_gives_others(tmp_path):
    copy = shutil.copytree(ROOT_PATH / "models", tmp_path / "models")
    for path in copy.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    start = copy / START_PATH.name

    again = pack(tmp_path, start)
    assert again.content == pack(ROOT_PATH, START_PATH).content

    (copy / "errors.py").write_text("# edited\n")
    assert pack(tmp_path, start).sha256 != again.sha256


def test_it_is_what_the_container_unpacks_and_all_that_jobs_import(tmp_path):
    bundle = code_bundle()
    (tmp_path / "bundle.tar.gz").write_bytes(bundle.content)
    unpack(tmp_path / "bundle.tar.gz", tmp_path / "code")

    unpacked = {p.relative_to(tmp_path / "code").as_posix() for p in (tmp_path / "code").rglob("*") if p.is_file()}
    in_tree = {p for p in (ROOT_PATH / "models").rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    assert unpacked == {p.relative_to(ROOT_PATH).as_posix() for p in in_tree} == set(bundle.members)
    assert bundle.start == START_PATH.read_bytes()
