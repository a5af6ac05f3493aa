"""Shares, ETAs and log lines from events."""

from __future__ import annotations

from tasks.progress import ProgressMeter, duration, log_line


def step(number: int, time: float) -> dict:
    return {"event": "step", "time": time, "step": number, "num_steps": 100, "epoch": 0, "loss": 0.5}


def test_the_eta_is_judged_by_this_attempt_and_not_by_work_that_another_did():
    meter = ProgressMeter()
    meter.hear({"event": "phase", "time": 0.0, "phase": "train"})

    resumed = meter.hear(step(50, 1000.0))
    later = meter.hear(step(60, 1020.0))

    assert (resumed.share, resumed.eta_seconds) == (0.5, None)
    assert later.share == 0.6
    assert round(later.eta_seconds) == 80  # 2 s a step, 40 left
    assert str(later) == "train: epoch 1, step 60/100, 60%, ETA 1 min 20 s"


def test_a_new_count_begins_anew():
    meter = ProgressMeter()
    for done, time in ((10, 0.0), (100, 9.0), (10, 20.0)):
        meter.hear({"event": "progress", "time": time, "done": done, "total": 100, "unit": "records"})

    second = meter.hear({"event": "progress", "time": 21.0, "done": 20, "total": 100, "unit": "records"})

    assert round(second.eta_seconds) == 8


def test_a_count_inside_a_job_that_steps_does_not_move_its_share():
    meter = ProgressMeter()
    meter.hear(step(50, 1.0))

    inside = meter.hear({"event": "progress", "time": 2.0, "done": 9, "total": 10, "unit": "records"})

    assert inside.share == 0.5
    assert "9/10 records" in str(inside)


def test_an_unknown_total_claims_no_share():
    event = {"event": "progress", "time": 1.0, "done": 5000, "total": None, "unit": "records"}

    progress = ProgressMeter().hear(event)

    assert (progress.share, progress.eta_seconds) == (0.0, None)
    assert "5,000/? records" in str(progress)


def test_the_log_has_a_line_an_epoch_and_none_of_steps():
    epoch = {"event": "epoch", "time": 1.0, "epoch": 2, "num_epochs": 9, "f1": 0.61234, "train_loss": 0.5}

    assert log_line(epoch) == "epoch 3/9: f1 0.6123, train_loss 0.5"
    assert log_line(step(1, 1.0)) is None
    assert log_line({"event": "notice", "time": 1.0, "message": "look", "level": "warning"}) == "look"


def test_durations_are_read_by_people():
    assert [duration(s) for s in (0.4, 59, 61, 3720)] == ["0 s", "59 s", "1 min 01 s", "1 h 02 min"]
