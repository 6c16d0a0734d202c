"""SynOOD: painted images near the boundary, a projection layer and tuned label features."""
