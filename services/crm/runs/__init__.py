"""Runs: long work that outlives the call that asked for it, and the process that began it."""
