"""Machine learning and nothing else: jobs that run here or in a bare container, without an orchestrator."""
