"""ANTS: negative images of the lake described, and look-alikes of the ID classes near them."""
