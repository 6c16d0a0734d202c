"""The passes over cosines that give methods their statistics: one in floats, and one that is exact."""
