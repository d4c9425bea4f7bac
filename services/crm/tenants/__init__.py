"""Tenants: what crm needs to know of an organisation, kept by events of identity."""
