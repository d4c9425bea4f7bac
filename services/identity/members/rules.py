"""How members are ordered by name."""

import unicodedata


def name_key(name: str) -> str:
    """Return what a list of members is sorted by: letters without case and accents."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
