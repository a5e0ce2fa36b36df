"""Readers: turn what a training process wrote into points and notes."""
