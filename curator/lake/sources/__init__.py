"""What a user names, listed without opening anything: folders, files, globs, URLs."""
