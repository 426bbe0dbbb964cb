"""The command line: each command parses, calls one function, and prints. Heavy imports happen inside commands."""

from champion.cli.app import main

__all__ = ["main"]
