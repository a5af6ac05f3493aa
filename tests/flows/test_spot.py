"""Phase 1 on Spot machines that are taken away ends as it ends here; its dry run asks nobody."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from benchmarks.local_aws import FaultPlan, Reclaim
from benchmarks.tiny_data import write_tiny_data
from flows.phase1 import Phase1Settings, phase1
from flows.train import TrainingSettings, train
from models.data.generated import write_sample
from tasks.ledger_file import Ledger

ROOT = Path(__file__).resolve().parents[2]
TWO_RECLAIMS = (Reclaim(on_log=r'"event": "epoch".*"epoch": 0\b'), Reclaim(on_log=r'"event": "epoch".*"epoch": [23]\b'))


@pytest.fixture
def tiny(tmp_path) -> dict:
    write_sample(tmp_path / "raw", num_functions=90)
    return {
        "preprocess": {"data": str(tmp_path / "raw"), "source": "tiny", "vocab_size": 300, "num_workers": 1},
        "transformer": {
            "pretrained": "off",
            "small": {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "feedforward_dim": 32},
            "max_seq_len": 64,
            "epochs": 5,
            "batch_size": 8,
        },
        "gnn": {"hidden_dim": 16, "embedding_dim": 16, "num_layers": 1, "epochs": 5, "batch_size": 8},
        "compute": {"device": "cpu", "precision": "off"},
        "slots": 2,
        "num_resamples": 100,
    }


@pytest.fixture
def spot(aws) -> dict:
    """Settings of a Spot machine of the twin, with a store of its own."""
    return {
        "instance_type": "ml.c5.xlarge",
        "store": f"s3://{aws.bucket}/{uuid.uuid4().hex}",
        "role": aws.role,
        "custom_image": "000000000000.dkr.ecr.us-east-1.amazonaws.com/twin:1",
        "poll_seconds": 0.2,
        "max_run_seconds": 600,
        "max_wait_seconds": 900,
        "notice_seconds": 4,
    }


@pytest.mark.long
@pytest.mark.server
def test_two_reclaims_of_each_training_change_no_byte_of_phase_1(prefect_client, aws, tiny, spot, tmp_path):
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    here = phase1(Phase1Settings(**tiny, runs=tmp_path / "here"))
    aws.plan_faults(FaultPlan(name_prefix="train-", reclaims=TWO_RECLAIMS))

    away = phase1(Phase1Settings(**tiny, runs=tmp_path / "away", where="sagemaker", sagemaker=spot))

    assert away.table == here.table
    for model, run in here.train.items():
        assert away.train[model].run_key == run.run_key
        assert deterministic_bytes(away.train[model].run_path) == deterministic_bytes(run.run_path)
    assert deterministic_bytes(away.evaluate.run_path) == deterministic_bytes(here.evaluate.run_path)
    jobs = [job for job in aws.jobs() if job["TrainingJobName"].startswith("train-")][-2:]
    assert [job["NumStarts"] for job in jobs] == [3, 3]
    totals = Ledger(tmp_path / "away").totals()
    assert totals.num_interruptions == 4
    assert totals.spent_usd > 0
    assert totals.reserved_usd == 0
    only = ArtifactFilter(key=ArtifactFilterKey(any_=["training-costs"]))
    (costs,) = (artifact.data for artifact in prefect_client.read_artifacts(artifact_filter=only))
    assert all(words in costs for words in ("ml.c5.xlarge", "Completed", "Spent"))
    assert totals.storage_usd > 0


@pytest.mark.server
def test_records_in_s3_are_trained_on_by_the_seeds_flags(prefect_client, aws, tiny, spot, tmp_path):
    write_tiny_data(tmp_path / "data", num_functions=60)
    for split in ("train", "valid"):
        path = tmp_path / f"data/{split}.jsonl"
        aws.client("s3").upload_file(str(path), aws.bucket, f"streamguard/data/{split}.jsonl")
    given = {
        "train_data_s3": f"s3://{aws.bucket}/streamguard/data/train.jsonl",
        "val_data_s3": f"s3://{aws.bucket}/streamguard/data/valid.jsonl",
        "model": {"kind": "gnn", **tiny["gnn"]},
    }
    runs_path = tmp_path / "runs"

    away = train(TrainingSettings(**given, runs=runs_path, where="sagemaker", sagemaker=spot))
    here = train(TrainingSettings(**given, compute=tiny["compute"], runs=runs_path, sagemaker={"region": aws.region}))

    assert away.run_key == here.run_key
    assert away.run_path != here.run_path
    assert deterministic_bytes(away.run_path) == deterministic_bytes(here.run_path)


@pytest.mark.server
def test_a_finished_flow_is_found_again_without_credentials(prefect_client, aws, tiny, spot, tmp_path, monkeypatch):
    given = {**tiny, "models": ["gnn"], "runs": tmp_path / "runs", "where": "sagemaker", "sagemaker": spot}
    first = phase1(Phase1Settings(**given))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)

    again = phase1(Phase1Settings(**given))

    assert again.train["gnn"].cached
    assert again.table == first.table


@pytest.mark.server
def test_a_training_here_with_a_store_is_found_by_another_machine(prefect_client, aws, tiny, spot, tmp_path):
    write_tiny_data(tmp_path / "data", num_functions=60)
    given = {
        "train_data": tmp_path / "data/train.jsonl",
        "val_data": tmp_path / "data/valid.jsonl",
        "model": {"kind": "gnn", **tiny["gnn"]},
        "sagemaker": {"store": spot["store"], "region": aws.region},
    }

    first = train(TrainingSettings(**given, runs=tmp_path / "one"))
    second = train(TrainingSettings(**given, runs=tmp_path / "other"))

    assert deterministic_bytes(second.run_path) == deterministic_bytes(first.run_path)
    assert json.loads((second.run_path / "record.json").read_bytes()) == json.loads(
        (first.run_path / "record.json").read_bytes()
    )  # nothing was trained again


def test_a_dry_run_needs_no_credentials_and_prints_a_request_that_aws_would_take(tiny, tmp_path):
    from tasks.aws.service_model import check_request

    settings = {**tiny, "runs": str(tmp_path / "runs"), "compute": {}}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_"))}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "flows.phase1",
            "--config",
            tmp_path / "settings.json",
            "--where",
            "sagemaker",
            "--dry-run",
        ],
        cwd=ROOT,
        env={**environment, "HOME": str(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    requests = re.findall(r"^\{$.*?^\}$", done.stdout, flags=re.DOTALL | re.MULTILINE)
    assert len(requests) == 2
    for request in requests:
        check_request("CreateTrainingJob", json.loads(request))
    assert "placeholders" in done.stdout
    assert "Code bundle" in done.stdout
    assert "Estimate" in done.stdout
    assert not (tmp_path / "runs").exists()


def deterministic_bytes(run_path: Path) -> dict[str, bytes]:
    """What its manifest lists; the manifest itself names the build, and so the machine."""
    names = json.loads((run_path / "manifest.json").read_bytes())["files"]
    return {name: (run_path / name).read_bytes() for name in names}
