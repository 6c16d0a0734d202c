"""Tar archives as sources of images: headers that are not trusted, and their members."""
