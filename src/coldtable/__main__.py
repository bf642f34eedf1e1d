"""``python -m coldtable``."""

from coldtable.cli.app import main

main()
