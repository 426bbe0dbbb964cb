"""The memory of the workbench: MLflow runs, the model registry, and the promotion ledger.

Import its modules where they are used; MLflow itself (seconds to import) is only imported when a store is opened.

- `store`: the prepared MLflow store of a workspace
- `runs`: open, log, close and find runs
- `registry`: versions of the model and their aliases
- `ledger`: the append-only file of promotion decisions
- `promotion`: the gate, and promote, rollback, repair
"""
