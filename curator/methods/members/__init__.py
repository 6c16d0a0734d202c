"""The methods, one published score a file."""
