"""The keys that access tokens are signed with and refresh tokens are made from."""
