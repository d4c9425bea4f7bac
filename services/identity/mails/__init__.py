"""What identity writes to people: the kinds of mail and their texts, one file for each kind and language."""
