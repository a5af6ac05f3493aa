"""The twin of the training API really runs what it accepts, and ends it in every way that the platform does."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from benchmarks.local_aws import ROOT, FaultPlan, LocalAws, Reclaim, TwinOptions

NASTY = ["it's", 'a "quoted" $(touch /tmp/never) `id`', "$HOME", "; exit 1"]

# --- a job that ends well -------------------------------------------------------------------------------------------


def test_a_job_runs_as_process_1_with_its_folders_and_arguments_and_ends_completed(apart: Any) -> None:
    request = apart.request(
        "whole",
        """
        import json, os, socket, sys
        from pathlib import Path
        ml = Path("/opt/ml")
        config = {path.stem: json.loads(path.read_text()) for path in (ml / "input/config").iterdir()}
        told = {"pid": os.getpid(), "arguments": sys.argv[1:], "config": config, "environment": dict(os.environ)}
        told["data"] = (ml / "input/data/data/a/b.txt").read_text()
        told["address"] = socket.gethostbyname("algo-1")
        print(json.dumps(told))
        print("loss=2.5; loss=2.0")
        print("loss=0.5")
        (ml / "model/weights").write_text("w")
        (ml / "output/data/result").write_text("r")
        """,
        HyperParameters={"note": NASTY[1]},
        Environment={"MODE": NASTY[0]},
    )
    apart.aws.client("s3").put_object(Bucket=apart.aws.bucket, Key="data/whole/a/b.txt", Body=b"content")
    request["InputDataConfig"].append(apart.channel("data", f"s3://{apart.aws.bucket}/data/whole/"))
    request["AlgorithmSpecification"]["ContainerArguments"] = NASTY
    apart.sagemaker.create_training_job(**request)
    apart.aws.wait_for("whole")
    job = apart.sagemaker.describe_training_job(TrainingJobName="whole")  # as botocore reads it
    log = apart.aws.log("whole")

    assert job["TrainingJobStatus"] == "Completed"
    assert apart.statuses(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [one["MetricName"] for one in job["FinalMetricDataList"]] == ["train_loss"]
    assert job["FinalMetricDataList"][0]["Value"] == 0.5
    assert job["BillableTimeInSeconds"] <= job["TrainingTimeInSeconds"]
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert log[1:] == ["loss=2.5; loss=2.0", "loss=0.5"]
    told = json.loads(log[0])
    assert (told["pid"], told["arguments"], told["data"]) == (1, NASTY, "content")
    assert told["address"].startswith("127.")
    assert told["config"]["hyperparameters"] == {"note": NASTY[1]}
    assert set(told["config"]["inputdataconfig"]) == {"code", "data"}
    resources = told["config"]["resourceconfig"]
    assert (resources["current_host"], resources["hosts"]) == ("algo-1", ["algo-1"])
    assert resources["network_interface_name"] == "lo"
    assert told["environment"]["MODE"] == NASTY[0]
    assert told["environment"]["TRAINING_JOB_NAME"] == "whole"
    assert told["environment"]["TRAINING_JOB_ARN"] == job["TrainingJobArn"]
    assert set(apart.objects("output/whole/output/")) == {"model.tar.gz", "output.tar.gz"}
    assert not Path("/tmp/never").exists()
    assert not [path for path in Path("/opt").iterdir() if path.name == "ml"], "the host was touched"


def test_nothing_is_uploaded_for_empty_folders(platform: Any) -> None:
    assert platform.run("empty", "pass")["TrainingJobStatus"] == "Completed"
    assert platform.objects("output/empty/") == {}


def test_a_job_reaches_s3_with_the_credentials_of_a_container(platform: Any) -> None:
    job = platform.run(
        "reaches",
        f"""
        import boto3, os
        assert "AWS_ACCESS_KEY_ID" not in os.environ
        boto3.client("s3").put_object(Bucket="{platform.aws.bucket}", Key="made/by-the-job", Body=b"x")
        """,
    )
    assert job["TrainingJobStatus"] == "Completed", platform.aws.log("reaches")
    assert platform.objects("made/") == {"by-the-job": b"x"}


def test_metrics_are_in_cloudwatch(platform: Any) -> None:
    platform.run("metrics", "print('loss=0.25')")
    listed = platform.aws.client("cloudwatch").list_metrics(Namespace="/aws/sagemaker/TrainingJobs")["Metrics"]
    dimension = {"Name": "TrainingJobName", "Value": "metrics"}
    assert [one["MetricName"] for one in listed if dimension in one["Dimensions"]] == ["train_loss"]


def test_two_hosts_know_and_reach_each_other_and_both_log(apart: Any) -> None:
    source = """
    import json, socket
    from pathlib import Path
    config = json.loads(Path("/opt/ml/input/config/resourceconfig.json").read_text())
    me, (first, second) = config["current_host"], config["hosts"]
    assert socket.gethostname() == me
    if me == first:
        with socket.create_server((first, 7777)) as server:
            peer, _ = server.accept()
            print("heard", peer.recv(100).decode())
    else:
        while True:
            try:
                with socket.create_connection((first, 7777)) as peer:
                    peer.sendall(me.encode())
                    break
            except ConnectionRefusedError:
                pass
    """
    resources = {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30}
    # In isolation too: hosts of one job may talk to each other, and to no one else.
    for name, isolated in (("pair", False), ("pair-apart", True)):
        job = apart.run(name, source, ResourceConfig=resources, EnableNetworkIsolation=isolated)
        assert job["TrainingJobStatus"] == "Completed", apart.aws.log(name)
        assert apart.aws.log(name) == ["heard algo-2"]


# --- ends that are not so well --------------------------------------------------------------------------------------

LEAVES_ON_SIGTERM = """
import signal, sys, time
def leave(*_):
    print("told to leave")
    sys.exit(75)
signal.signal(signal.SIGTERM, leave)
print("ready")
while True:
    time.sleep(0.01)
"""
STAYS = """
import time
print("ready")
while True:
    time.sleep(0.01)
"""


def test_a_failure_file_is_the_reason_cut_like_the_api_cuts_it(platform: Any) -> None:
    source = """
    import json, sys
    from pathlib import Path
    args = json.loads(Path("/opt/ml/input/config/hyperparameters.json").read_text())
    Path("/opt/ml/output/failure").write_text("x" * int(args["length"]))
    sys.exit(int(args["code"]))
    """
    if platform.aws.isolation == "none":
        pytest.skip("this machine allows no namespaces")
    short = platform.run("short-failure", source, HyperParameters={"length": "3", "code": "75"})
    long = platform.run("long-failure", source, HyperParameters={"length": "5000", "code": "1"})
    assert (short["TrainingJobStatus"], short["SecondaryStatus"]) == ("Failed", "Failed")
    assert short["FailureReason"] == "AlgorithmError: xxx, exit code: 75"
    assert len(long["FailureReason"]) == 1024


def test_an_entry_point_that_is_not_there_fails_the_job(apart: Any) -> None:
    request = apart.request("no-entry", "pass")
    request["AlgorithmSpecification"]["ContainerEntrypoint"] = ["no-such-program"]
    apart.sagemaker.create_training_job(**request)
    assert apart.aws.wait_for("no-entry")["FailureReason"] == "AlgorithmError: , exit code: 127"


@pytest.mark.parametrize(("source", "says"), [(LEAVES_ON_SIGTERM, ["told to leave"]), (STAYS, [])])
def test_stop_asks_first_and_kills_after_the_notice(platform: Any, source: str, says: list[str]) -> None:
    name = f"stopped-{len(says)}"
    platform.sagemaker.create_training_job(**platform.request(name, source))
    platform.wait_for_line(name, "ready")
    platform.sagemaker.stop_training_job(TrainingJobName=name)
    job = platform.aws.wait_for(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "Stopping" in platform.statuses(job)
    assert platform.aws.log(name) == ["ready", *says]
    with pytest.raises(ClientError, match="in status Stopped"):
        platform.sagemaker.stop_training_job(TrainingJobName=name)


def test_a_plan_stops_a_job_at_a_line(platform: Any) -> None:
    platform.aws.plan_faults(FaultPlan("plan-stop", stop_after="ready"))
    assert platform.run("plan-stop", LEAVES_ON_SIGTERM)["SecondaryStatus"] == "Stopped"


def test_a_crash_is_exit_code_137(platform: Any) -> None:
    platform.aws.plan_faults(FaultPlan("plan-crash", crash="ready"))
    job = platform.run("plan-crash", STAYS)
    assert (job["TrainingJobStatus"], job["FailureReason"]) == ("Failed", "AlgorithmError: , exit code: 137")


def test_the_longest_runtime_ends_a_job(platform: Any) -> None:
    stopping = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 900}
    job = platform.run("too-long", LEAVES_ON_SIGTERM, StoppingCondition=stopping)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "told to leave" in platform.aws.log("too-long")


def test_the_longest_wait_ends_a_job(platform: Any) -> None:
    stopping = {"MaxRuntimeInSeconds": 1, "MaxWaitTimeInSeconds": 1}
    platform.aws.plan_faults(FaultPlan("waits-again", reclaims=(Reclaim("ready"),), exceed_max_wait=True))
    platform.aws.plan_faults(FaultPlan("waits-at-once", exceed_max_wait=True))
    again = platform.run("waits-again", LEAVES_ON_SIGTERM)
    at_once = platform.run("waits-at-once", LEAVES_ON_SIGTERM)
    clock = platform.run("waits-by-clock", LEAVES_ON_SIGTERM, StoppingCondition=stopping)
    for job, num_starts in ((again, 1), (at_once, 0)):
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")
        assert job["NumStarts"] == num_starts
    assert "Interrupted" in platform.statuses(again)
    assert "TrainingTimeInSeconds" not in at_once
    assert clock["TrainingJobStatus"] == "Stopped"  # by one of its two limits


def test_the_first_jobs_find_no_capacity(platform: Any) -> None:
    platform.aws.plan_faults(FaultPlan("scarce", no_capacity=2))
    ends = [platform.run(f"scarce-{attempt}", "pass") for attempt in range(3)]
    assert [end["TrainingJobStatus"] for end in ends] == ["Failed", "Failed", "Completed"]
    assert ends[0]["FailureReason"].startswith("CapacityError: Unable to provision requested ML compute capacity")
    assert "TrainingStartTime" not in ends[0]


# --- network isolation ----------------------------------------------------------------------------------------------


def test_an_isolated_job_has_no_credentials_and_no_network(apart: Any) -> None:
    host, port = apart.aws.s3_url.removeprefix("http://").split(":")
    job = apart.run(
        "isolated",
        f"""
        import os, socket
        print(sorted(name for name in os.environ if name.startswith("AWS")))
        try:
            socket.create_connection(("{host}", {port}), timeout=5)
        except OSError as error:
            print(type(error).__name__)
        """,
        EnableNetworkIsolation=True,
    )
    assert job["TrainingJobStatus"] == "Completed"
    assert apart.aws.log("isolated") == ["['AWS_REGION']", "ConnectionRefusedError"]


# --- processes ------------------------------------------------------------------------------------------------------


def wait_until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert alive == []


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_jobs_end_with_the_twin(platform: Any, tmp_path: Path, sent: signal.Signals) -> None:
    command = [sys.executable, "-m", "benchmarks.sagemaker_twin", "--port", "0", "--folder", str(tmp_path)]
    command += ["--s3", platform.aws.s3_url, "--proxy", platform.aws.s3_url]
    twin = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert twin.stdout is not None
    url = json.loads(twin.stdout.readline())["url"]
    sagemaker = platform.client(endpoint_url=url)
    name = f"endless-{sent.name}"
    sagemaker.create_training_job(**platform.request(name, STAYS))
    platform.wait_for_line(name, "ready")
    of_the_job = psutil.Process(twin.pid).children(recursive=True)
    assert any("start.py" in " ".join(process.cmdline()) for process in of_the_job)
    twin.send_signal(sent)
    twin.communicate(timeout=20)
    wait_until_gone(of_the_job)


def test_the_servers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    source = """
    import sys, time
    from pathlib import Path
    from benchmarks.local_aws import LocalAws
    with LocalAws(Path(sys.argv[1])):
        print("up", flush=True)
        time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(source), str(tmp_path)]
    parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"
    servers = psutil.Process(parent.pid).children(recursive=True)
    assert len(servers) == 2
    parent.kill()
    parent.communicate()
    wait_until_gone(servers)


def test_without_namespaces_jobs_are_plain_children_and_it_is_said(platform: Any, tmp_path: Path) -> None:
    options = TwinOptions(namespaces=False, sync_seconds=0.05)
    with LocalAws(tmp_path, options=options) as aws:
        assert aws.isolation == "none"
        assert "cannot make namespaces" in (tmp_path / "twin.log").read_text()
        plain = dataclasses.replace(platform, aws=aws, sagemaker=aws.client("sagemaker"))
        aws.plan_faults(FaultPlan("plain", reclaims=(Reclaim("step=1"),)))
        source = """
        import json, os, signal, sys, time
        from pathlib import Path
        code = Path(__file__).parent
        told = json.loads((code / "job.json").read_text())
        assert os.getpid() != 1
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
        ml = Path(told["checkpoints"]).parent
        assert (ml / "input/config/resourceconfig.json").is_file()
        mark = Path(told["checkpoints"], "mark")
        print("again" if mark.exists() else "first", flush=True)
        if not mark.exists():
            mark.touch()
            print("step=1", flush=True)
            time.sleep(60)
        """
        paths = json.dumps({"checkpoints": "/opt/ml/checkpoints"})
        aws.client("s3").put_object(Bucket=aws.bucket, Key="code/plain/job.json", Body=paths.encode())
        job = plain.run("plain", source, CheckpointConfig=plain.checkpoints("plain"))
        assert job["TrainingJobStatus"] == "Completed", aws.log("plain")
        assert aws.log("plain") == ["first", "step=1", "again"]


def test_it_works_without_the_rights_of_root(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("these tests already run without them")
    from benchmarks.sagemaker_twin.namespaces import Isolation, best_isolation

    source = """
    import os, sys
    from benchmarks.sagemaker_twin.namespaces import best_isolation
    print(best_isolation().value if os.access(os.path.realpath(sys.executable), os.X_OK) else "unreadable")
    """
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--bounding-set=-all"]
    command = [*nobody, "--inh-caps=-all", sys.executable, "-c", textwrap.dedent(source)]
    tried = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "Permission denied" in tried.stderr or tried.stdout.strip() == "unreadable":
        pytest.skip("only root may read the interpreter")
    if best_isolation() is Isolation.USER:
        assert tried.stdout.strip() == Isolation.USER.value, tried.stderr
