"""The report of a ledger says what the totals say, in three forms; storage is measured on a real server of S3."""

from __future__ import annotations

import json
import re

import pytest
from moto.server import ThreadedMotoServer

from models.errors import CloudRefused, SettingsInvalid
from models.store.s3 import S3Uri
from models.store.s3_calls import Patience
from tasks.aws.prices import Rate
from tasks.aws.settings import BudgetSettings
from tasks.ledger import End, Launch, Ledger, cost_markdown, main
from tasks.ledger_report import usd
from tasks.store_size import measure_store

RATE = Rate(0.7364, "table of this package (a test); not asked", "2026-01-02", is_fallback=True)
BUDGET = BudgetSettings(total_usd=20.0, buffer_usd=2.0)


def launch(name, key, **fields):
    given = {"kind": "train", "label": f"label_{key}", "instance_type": "ml.g4dn.xlarge", "num_instances": 1}
    given |= {"use_spot": True, "max_run_seconds": 14400, "rate": RATE, "flow_run": "amber-fox"}
    return Launch(name, key, **(given | fields))


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.book_launch(launch("a1", "ka"), BUDGET)
    ledger.book_end(End("a1", "Stopped", 3600.0, 1800.0, repeated_steps=360, seconds_per_step=1.0, num_interruptions=2))
    ledger.book_launch(launch("a2", "ka", use_spot=False, instead_of_spot=True), BUDGET)
    ledger.book_end(End("a2", "Completed", 7200.0, 7200.0))
    ledger.book_launch(launch("p1", "kp", kind="predict", flow_run="blue-owl"), BUDGET)
    ledger.book_storage("s3://bucket/codewarden", 7 * 2**30, 0.023, "2026-01-02")
    return ledger


def told(capsys, ledger, *arguments):
    assert main(["report", "--runs", str(ledger.path.parent), *arguments]) == 0
    return capsys.readouterr().out


def row(text, head):
    """Cells of the line that begins so."""
    line = next(line for line in text.splitlines() if line.strip().startswith(head))
    return re.split(r"\s{2,}", line.strip())


def test_the_text_shows_attempts_kinds_storage_and_what_is_left(capsys, ledger):
    text = told(capsys, ledger)
    assert max(map(len, text.splitlines())) <= 100
    assert row(text, "label_ka")[1:] == [
        "1",
        "ml.g4dn.xlarge Spot",
        "Stopped",
        "1.00 h",
        "30 min",
        "$0.37",
        "$0.37",
        "$0.04",
        "2",
    ]
    assert row(text.partition("label_ka")[2], "label_ka")[-6:-3] == ["2.00 h", "2.00 h", "$1.47"]
    assert "open, ≤ $2.95" in text
    assert row(text, "s3://bucket/codewarden")[-1] == "$0.16"
    spent = 0.7364 * 2.5 + 7 * 0.023
    balance = [row(text, head)[-1] for head in ("Total", "Spent", "Reserved", "Buffer", "Remaining")]
    assert balance == [usd(20), usd(spent), usd(4 * 0.7364), usd(2), usd(20 - 2 - spent - 4 * 0.7364)]
    assert "table of this package (a test)" in " ".join(text.split())  # a fallback price is announced
    assert "cost about $0.74 more (Spot saved 50% here)" in text
    assert "Not ended: p1" in text
    assert "python -m tasks.ledger settle" in text
    assert row(text, "label_kp")[-6:] == ["–"] * 6  # it runs: there is nothing to tell yet


def test_a_flow_run_is_shown_alone_against_the_budget_of_all(capsys, ledger):
    text = told(capsys, ledger, "--flow-run", "amber-fox")
    assert "label_kp" not in text
    assert "s3://" not in text
    assert row(text, "Spent by this flow run")[-1] == usd(0.7364 * 2.5)
    assert row(text, "Reserved")[-1] == usd(4 * 0.7364)
    assert "amber-fox, blue-owl" in told(capsys, ledger, "--flow-run", "amber-foks")


def test_another_budget_can_be_asked_about(capsys, ledger):
    assert row(told(capsys, ledger, "--total", "5", "--buffer", "1"), "Remaining")[-1].startswith("-$0.")
    with pytest.raises(SystemExit, match="2"):
        main(["report", "--buffer", "1"])
    assert "--total" in capsys.readouterr().err


def test_json_holds_the_unrounded_sums(capsys, ledger):
    found, totals = json.loads(told(capsys, ledger, "--format", "json")), ledger.totals()
    assert [each["job_name"] for each in found["attempts"]] == ["a1", "a2", "p1"]
    assert found["spent_usd"] == found["budget"]["spent_usd"] == totals.spent_usd
    assert found["runs"]["ka"]["repeated_usd"] == totals.repeated_usd
    assert found["budget"]["remaining_usd"] == totals.remaining_usd(BUDGET)
    assert {each["rate_source"] for each in found["attempts"]} == {RATE.source}


def test_markdown_is_what_the_artifact_gets(capsys, ledger):
    markdown = cost_markdown(ledger.entries(), "amber-fox")
    assert markdown == told(capsys, ledger, "--flow-run", "amber-fox", "--format", "markdown")
    assert "| label\\_ka | 1 | ml.g4dn.xlarge Spot | Stopped |" in markdown
    assert "| **Remaining** |" in markdown


def test_short_times_are_minutes_and_what_had_no_machine_has_none(capsys, tmp_path):
    ledger = Ledger(tmp_path)
    for name, end in {
        "b1": End("b1", "Completed", 75.0, 30.0),
        "c1": End("c1", "NotCreated", None, None),
    }.items():
        ledger.book_launch(launch(name, f"k{name}"), BUDGET)
        ledger.book_end(end)
    text = told(capsys, ledger)
    assert row(text, "label_kb1")[4:6] == ["1.2 min", "30 s"]
    assert row(text, "label_kc1")[4:] == ["–", "–", "$0.00", "–", "–", "0"]
    assert "settle" not in text


def test_a_price_that_is_unknown_is_told_and_counts_as_nothing(capsys, tmp_path, caplog):
    ledger, unknown = Ledger(tmp_path), Rate(None, "nobody knows it", "2026-01-02", is_fallback=True)
    with pytest.raises(SettingsInvalid, match=r"cannot be held against budget\.total_usd"):
        ledger.book_launch(launch("u1", "ku", rate=unknown), BUDGET)
    assert not ledger.path.exists()
    ledger.book_launch(launch("u1", "ku", rate=unknown), BudgetSettings())
    assert "unknown" in caplog.text
    assert "open, price unknown" in told(capsys, ledger)
    ledger.book_end(End("u1", "Completed", 3600.0, 1800.0))
    text = told(capsys, ledger)
    assert row(text, "label_ku")[4:] == ["1.00 h", "30 min", "unknown", "–", "–", "0"]
    assert "count as $0.00" in text
    assert json.loads(told(capsys, ledger, "--format", "json"))["attempts"][0]["rate_usd_per_hour"] is None


def test_an_empty_ledger_says_how_it_is_filled(capsys, tmp_path):
    text = told(capsys, Ledger(tmp_path))
    assert "--where sagemaker" in text
    assert "python -m tasks.ledger storage" in text


def test_a_damaged_ledger_is_one_line(capsys, ledger):
    ledger.path.write_text("no\n" + ledger.path.read_text())
    assert main(["report", "--runs", str(ledger.path.parent)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "ledger.jsonl:1" in error


@pytest.mark.parametrize("arguments", [[], ["repotr"]])
def test_without_a_command_the_commands_are_told(capsys, arguments):
    assert main(arguments) == 2
    assert "report" in capsys.readouterr().err


@pytest.mark.parametrize(("amount", "said"), [(0, "$0.00"), (0.0029, "$0.0029"), (-1234.5, "-$1,234.50")])
def test_money_is_readable(amount, said):
    assert usd(amount) == said


# -- storage


@pytest.fixture
def s3(monkeypatch):
    """A server of S3 and a client; the environment is that of programs which talk to it."""
    import boto3

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.Session().client("s3")
    client.create_bucket(Bucket="codewarden-ledger")
    yield client
    server.stop()


def test_storage_is_measured_over_all_pages_and_booked(s3, capsys, tmp_path):
    for number in range(3):
        s3.put_object(Bucket="codewarden-ledger", Key=f"cw/runs/{number}", Body=b"x" * 1000)
    s3.put_object(Bucket="codewarden-ledger", Key="cw-other/0", Body=b"x" * 5000)
    uri = S3Uri.parse("s3://codewarden-ledger/cw")

    class OnePerPage:
        def list_objects_v2(self, **request):
            return s3.list_objects_v2(MaxKeys=1, **request)

    assert measure_store(uri, OnePerPage()) == measure_store(uri, s3)
    assert measure_store(uri, s3).num_objects == 3
    assert main(["storage", "--store", str(uri), "--runs", str(tmp_path)]) == 0
    assert "3 objects" in capsys.readouterr().out
    (cost,) = Ledger(tmp_path).totals().storage
    assert (cost.newest.prefix, cost.newest.size_bytes) == ("s3://codewarden-ledger/cw", 3000)
    assert cost.usd == pytest.approx(3000 / 2**30 * 0.023)


def test_a_bucket_that_is_not_there_is_refused_with_what_to_do(s3):
    with pytest.raises(CloudRefused, match="codewarden-none"):
        measure_store(S3Uri("codewarden-none", ""), s3, patience=Patience(total_seconds=0.1))
    with pytest.raises(SettingsInvalid):
        S3Uri.parse("codewarden-none")
