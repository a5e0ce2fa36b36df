"""Hands for coding agents: a workspace for each call, a process that watches over it, and what it left."""
