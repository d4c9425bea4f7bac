"""The demo organisation: people and companies whose names are made up of words that name nobody."""
