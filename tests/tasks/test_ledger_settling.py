"""Jobs that nobody watches any more are booked by asking SageMaker, and only those that have ended."""

from __future__ import annotations

import pytest

from models.errors import CloudRefused
from tasks.aws.prices import Rate
from tasks.aws.settings import BudgetSettings
from tasks.ledger import End, Launch, Ledger, main
from tasks.ledger_settling import settle_open

RATE = Rate(0.72, "a test", "2026-01-02")
NO_LIMIT = BudgetSettings()


@pytest.fixture
def ledger(tmp_path):
    """Three open launches and one that has ended."""
    ledger = Ledger(tmp_path)
    for name in ("a", "b", "c", "d"):
        ledger.book_launch(Launch(name, f"k{name}", "train", "x", "ml.g4dn.xlarge", 1, True, 5000, RATE), NO_LIMIT)
    ledger.book_end(End("d", "Completed", 10.0, 4.0))
    return ledger


def described(name):
    """``a`` has passed its time after a reclaim, ``b`` runs, ``c`` is not known."""
    if name == "c":
        raise CloudRefused("training job c", "ValidationException", "Requested resource not found.")
    moves = [{"Status": status} for status in ("Starting", "Training", "Interrupted", "Training")]
    if name == "b":
        return {"TrainingJobName": name, "TrainingJobStatus": "InProgress", "SecondaryStatus": "Training"}
    return {
        "TrainingJobName": name,
        "TrainingJobStatus": "Stopped",
        "SecondaryStatus": "MaxRuntimeExceeded",
        "SecondaryStatusTransitions": moves,
        "TrainingTimeInSeconds": 5000,
        "BillableTimeInSeconds": 2000,
    }


def test_what_has_ended_is_booked_and_all_else_stays_reserved(ledger, caplog):
    assert settle_open(ledger, described) == 1
    attempts = {attempt.launch.job_name: attempt for attempt in ledger.totals().attempts}
    assert attempts["a"].spent_usd == pytest.approx(0.4)
    assert attempts["a"].end.status == "MaxRuntimeExceeded"
    assert attempts["a"].end.num_interruptions == 1
    assert attempts["b"].end is attempts["c"].end is None
    assert ledger.totals().reserved_usd == pytest.approx(2.0)
    assert "c is not known" in caplog.text
    assert settle_open(ledger, described) == 0  # again changes nothing


def test_who_may_not_ask_is_told_so(ledger):
    def refused(name):
        raise CloudRefused(name, "AccessDeniedException", "no")

    with pytest.raises(CloudRefused):
        settle_open(ledger, refused)


def test_the_program_asks_nobody_where_nothing_is_open(tmp_path, capsys):
    assert main(["settle", "--runs", str(tmp_path)]) == 0
    assert "no launch is open" in capsys.readouterr().out
