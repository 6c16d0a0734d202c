"""The embedded default of each role: WordNet and the encoder's own space, no weights and no network."""
