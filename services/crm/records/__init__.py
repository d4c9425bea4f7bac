"""Records: what contacts, companies and the nouns to come do alike. Knows none of them."""
