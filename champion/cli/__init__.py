"""The command line: each command parses, calls one function, and prints. Heavy imports happen inside commands."""

import os

from champion.base import file_modes, gc_tuning, isolation, loopback

__all__ = ["main"]


def main() -> None:
    """Run the `champion` command."""
    gc_tuning.relax_gc()
    file_modes.restrict()
    os.environ[isolation.SAFE_PATH] = "1"  # for child processes, also those that libraries start
    loopback.bypass_proxies()
    from champion.cli import app  # noqa: PLC0415 - imported after the settings above take effect

    app.main()
