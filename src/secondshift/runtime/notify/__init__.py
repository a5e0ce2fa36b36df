"""Notify channels: where a brief is sent when its shift has ended."""
