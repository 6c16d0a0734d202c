"""Exports: images with what is known of them, in the forms that other tools read. Nothing here knows of workspaces."""
