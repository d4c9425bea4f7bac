"""Rules of the parts that records of several nouns share: emails, phones, domains, addresses. Pure Python."""
