"""`python -m selftune` is the command line."""

from selftune.cli import main

main()
