"""Decisions of people: the queue, the desk, the record, and banks proposed from them."""
