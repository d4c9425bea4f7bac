"""Contacts: the people a tenant knows."""
