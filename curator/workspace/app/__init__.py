"""The app's side of the workspace: what is shown of a snapshot, in which order, and where decisions go."""
