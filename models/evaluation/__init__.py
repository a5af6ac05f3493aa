"""Metrics, thresholds and statistics. numpy only, so that tasks may import it."""
