"""Billing: what organisations owe and what they paid."""
