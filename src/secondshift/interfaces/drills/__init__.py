"""Faults made on purpose in real trainings, to see what the captain does about them. Each line about them says DRILL."""
