"""Programs for processes of their own. Each answers every line it reads with a line of JSON; see `processes.worker`."""
