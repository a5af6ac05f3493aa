"""Prefect tasks: launch a job, watch it, report it. No torch here."""
