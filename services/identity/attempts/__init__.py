"""Attempts to sign in, counted so that guessing gets slow."""
