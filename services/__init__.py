"""The services, one folder each. They never import each other: they speak by RPC and by events."""
