"""Executors: submit, poll, cancel, collect; nothing else."""
