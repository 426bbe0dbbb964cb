"""Tracking: MLflow runs, the model registry, and the promotion ledger.

Import its modules where they are used. MLflow, which takes seconds to import, is only imported when a store is opened.

- `store`: the prepared MLflow store of a workspace
- `runs`: open, log, close and find runs
- `registry`: versions of the model and their aliases
- `ledger_storage`, `promotion_ledger`: the storage of promotion decisions, and the append-only ledger
- `promotion`: the gate, and promote, rollback, repair
"""
