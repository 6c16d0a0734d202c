"""Published evaluation protocols, one TOML each; read through curator.resources."""
