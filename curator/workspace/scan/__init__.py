"""A scan, from the listing to committed rows."""
