"""The `curator` command."""

from __future__ import annotations

from curator.cli import cli


def main() -> None:
    """Run the command line; errors become one line and the exit codes of `curator --help`."""
    cli(prog_name="curator")


if __name__ == "__main__":
    main()
