"""Learning curves that are made to mislead a search."""
