"""A whole night in two minutes: real training of a small network, with drills."""
