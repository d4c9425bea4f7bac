"""Personal data in events: split off, encrypted under the key of the record that it is about, and put back by who may read it."""
