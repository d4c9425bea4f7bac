"""What people are warned of by mail: things about their account that they did not do themselves, perhaps."""
