"""Rules of the parts that records of several nouns share: texts, emails, phones, domains, addresses. Pure Python."""
