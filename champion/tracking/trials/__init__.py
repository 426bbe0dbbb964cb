"""The trial ledger: every recipe whose forward returns were seen, so that a result is judged against all of them.

- `entry`: a line of the ledger
- `grouping`: which looks are one trial
- `series`: the daily net active returns of a look, as files named by their digest
- `ledger`: read, append, anchor and restart the ledger
- `former_runs`: trials of earlier releases, which MLflow recorded
"""
