"""Index recipes, one TOML each; read through curator.resources."""
