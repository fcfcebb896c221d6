"""Nothing left behind: ledger, executor, supervisor, recover."""
