"""The job contract: what runs, under which key, what it leaves behind."""
