"""Banks that systems learn from the lake."""
