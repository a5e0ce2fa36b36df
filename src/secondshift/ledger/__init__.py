"""The facts: append, read since, fold, series; SQLite and an in-memory twin."""
