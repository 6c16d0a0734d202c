"""Evaluations on images whose side is known."""
