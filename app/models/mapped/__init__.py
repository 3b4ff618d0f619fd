"""The collections of the data map, by what they are about."""
