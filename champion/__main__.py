"""`python -m champion` is the `champion` command."""

import sys

if not sys.flags.safe_path:  # `-m` puts the current directory first: a json.py that lies there would be imported
    current = sys.path.pop(0)
    if __file__ == f"{current}/champion/__main__.py":  # a checkout that is not installed
        sys.path.append(current)

from champion.cli import main

main()
