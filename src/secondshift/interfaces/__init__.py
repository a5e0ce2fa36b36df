"""Windows: what people see and press. They read the ledger and put requests into the spool; they decide nothing."""
