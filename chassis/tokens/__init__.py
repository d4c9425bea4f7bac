"""Access tokens of people and service tokens of services: signed, checked and remembered."""
