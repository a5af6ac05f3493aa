"""Several jobs at once share one live display: a bar each, gone with the last."""

from __future__ import annotations

import io
import logging
import threading
import time

import pytest
from rich.console import Console
from rich.errors import LiveError
from rich.theme import Theme

from tasks import terminal
from tasks.progress import Progress
from tasks.terminal import NoView, progress_view


@pytest.fixture
def screen(monkeypatch) -> io.StringIO:
    """What a terminal of 120 columns is sent; it knows no styles by name, as Prefect's does not."""
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=120, height=40, theme=Theme(inherit=False))
    monkeypatch.setattr(terminal, "_log_console", lambda: console)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    return written


def test_two_jobs_at_once_have_a_bar_each_in_one_display(screen):
    both_open = threading.Barrier(2, timeout=10)
    errors = []

    def work(name):
        try:
            with progress_view(name) as view:
                both_open.wait()
                view.show(Progress(0.5, 90.0, "train: step 5/10"))
                time.sleep(0.3)  # the display is drawn ten times a second
                both_open.wait()
        except (LiveError, threading.BrokenBarrierError) as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"train {model}",)) for model in ("transformer", "gnn")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)

    assert errors == []  # rich refuses a second display
    text = screen.getvalue()
    assert "train transformer" in text
    assert "train gnn" in text
    assert "ETA 1 min 30 s" in text


def test_a_display_that_was_closed_is_opened_again(screen):
    for name in ("first", "second"):
        with progress_view(name) as view:
            view.show(Progress(1.0, None, "done"))

    assert "second" in screen.getvalue()
    assert terminal._shared_bars._bars is None


def test_a_job_that_fails_takes_its_bar_along(screen):
    with pytest.raises(KeyboardInterrupt), progress_view("job"):
        raise KeyboardInterrupt

    assert terminal._shared_bars._bars is None


def test_where_stderr_is_no_terminal_nothing_is_shown(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)

    with progress_view("job") as view:
        assert isinstance(view, NoView)


@pytest.mark.parametrize("name", ["prefect", None], ids=["own", "root"])
def test_bars_are_drawn_on_the_console_that_prefect_logs_to(monkeypatch, name):
    handler = logging.NullHandler()
    handler.console = Console(file=io.StringIO())
    logger = logging.getLogger(name)
    monkeypatch.setattr(logger, "handlers", [handler, *logger.handlers])

    assert terminal._log_console() is handler.console
