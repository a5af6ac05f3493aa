"""What each job is told. One file per kind of job, no torch; nothing is imported here."""
