"""The keys that access tokens and seals are signed with and refresh tokens are made from."""
