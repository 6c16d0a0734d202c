"""Rows and progress as a terminal, a file or a pipe gets them. Nothing here knows of commands."""
