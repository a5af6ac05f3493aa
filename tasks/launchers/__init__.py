"""Where a job runs: here in a child process, or on a remote machine."""
