"""A night: its scan judged by conditions, its figures and its report."""
