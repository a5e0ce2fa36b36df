"""Notify channels: where a brief is sent when its shift has ended, and a page when somebody is to be told now."""
