"""The crm service: the people and organisations that a tenant deals with."""
