"""Decisions of people about images: what one is, the files they travel in, and the journal in which they wait."""
