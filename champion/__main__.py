"""`python -m champion` is the `champion` command."""

from champion.cli import main

main()
