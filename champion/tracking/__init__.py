"""The memory of the workbench: MLflow runs, the model registry, and the promotion ledger.

Import its modules where they are used; MLflow itself (seconds to import) is only imported when a store is opened.

- `store`: the prepared MLflow store of a workspace
- `runs`: open, log, close and find runs
- `registry`: versions of the model and their aliases
- `books`, `ledger`: where promotion decisions are kept, and the append-only ledger of them
- `promotion`: the gate, and promote, rollback, repair
"""
