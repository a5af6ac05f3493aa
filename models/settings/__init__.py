"""What each job is told. One file per kind of job, no torch, and nothing imported here: flows load only what they name."""
