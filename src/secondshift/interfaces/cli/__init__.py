"""The `secondshift` command: one small module for each family of verbs."""
