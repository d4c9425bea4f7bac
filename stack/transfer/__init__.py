"""Files in and out as a user of an organisation, through the edge of any Kith: `kith import` and `kith export`."""
