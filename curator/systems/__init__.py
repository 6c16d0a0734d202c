"""The published systems that make banks: what each asks of generators and learns from images. No database, no files."""
