"""Protocol R: agents that begin where nobody tuned anything, against their rivals and the best setting in hindsight."""
