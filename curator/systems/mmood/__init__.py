"""MM-OOD: near outliers from ID images, far outliers sketched, painted and elaborated."""
