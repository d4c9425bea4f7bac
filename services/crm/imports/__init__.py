"""Imports: files on their way to become contacts and companies."""
