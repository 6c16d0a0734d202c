"""AdaNeg: a memory of confident images beside the labels."""
