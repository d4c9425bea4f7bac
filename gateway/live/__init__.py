"""Live changes: events of the services as streams to whoever may read them."""
