"""Decisions of people: what is exported and recorded, and banks proposed from them."""
