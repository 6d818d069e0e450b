"""`python -m selftune` is the command line, and so is `selftune`.

Everything is imported inside: Ctrl-C in the first second, while libraries load, is a message as well.
"""

import sys


def main() -> None:
    """Entry point."""
    try:
        from selftune.cli import main as command_line
    except KeyboardInterrupt:
        print("selftune: interrupted.", file=sys.stderr)
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()
