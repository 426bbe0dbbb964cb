"""The command line: each command parses, calls one function, and prints. Heavy imports happen inside commands."""

from champion import loopback, startup

__all__ = ["main"]


def main() -> None:
    """Run the `champion` command."""
    startup.unhurried()
    loopback.bypass_proxies()
    from champion.cli import app  # noqa: PLC0415 - the first of the imports that should be quick

    app.main()
