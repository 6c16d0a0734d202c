"""EOE: outlier classes that a language model imagines."""
