"""Published tables, measured again beside what was printed (protocol P)."""
