"""Sessions: one chain of refresh tokens each, and the access tokens made in them."""
