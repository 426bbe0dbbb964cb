"""Champion: a notebook-centric research workbench for quants on daily equities."""
