"""The engine: batches, steps, schedules, checkpoints, resume."""
