"""Simulated and recorded studies, other rules and the figures of the benchmark of evidence."""
