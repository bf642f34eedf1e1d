"""``python -m coldtable``, and the ``coldtable`` of the shell."""

from __future__ import annotations

from typing import NoReturn


def main() -> NoReturn:
    """Run the command line."""
    # Not above: each process that a command starts imports this module anew, and all commands
    # together take half a second.
    from coldtable.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
