"""What keeps a workspace whole: backups, checks, clearing up, and the way back."""
