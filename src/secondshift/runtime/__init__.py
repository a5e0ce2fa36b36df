"""Hands without policy: executors, readers, clocks and hosts."""
