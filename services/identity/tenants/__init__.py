"""Organisations: whom all data belongs to."""
