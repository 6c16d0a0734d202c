"""Decisions of people about images: what one is, the files they travel in, and the page they are made on."""
