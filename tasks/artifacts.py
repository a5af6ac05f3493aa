"""What a run publishes on Prefect's Artifacts page: one stable key each, so that the page reads as a dashboard."""

from __future__ import annotations

from pathlib import Path

from prefect.artifacts import create_link_artifact, create_markdown_artifact

PHASE1_LEADERBOARD = "phase1-leaderboard"
PHASE1_REPORT = "phase1-report"
COMPARISON_TABLE = "comparison"
COMPARISON_REPORT = "comparison-report"
HARD_SET = "hard-set"
HARD_SET_PAGE = "hard-set-page"
COLLECTION = "collection"
RETRIEVAL_TABLE = "retrieval"
RETRIEVAL_REPORT = "retrieval-report"


def publish_markdown(key: str, markdown: str, description: str) -> None:
    """A new version of the markdown artifact ``key``."""
    create_markdown_artifact(markdown, key=key, description=description, _sync=True)  # type: ignore[call-arg]


def publish_file_link(key: str, path: Path, description: str) -> None:
    """A new version of the link ``key`` to a file on the machine that ran the flow."""
    create_link_artifact(  # type: ignore[call-arg]
        path.resolve().as_uri(), link_text=path.name, key=key, description=description, _sync=True
    )
