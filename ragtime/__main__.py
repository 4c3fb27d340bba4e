"""``python -m ragtime``: the command line."""

from ragtime.cli import main

if __name__ == "__main__":
    main()
