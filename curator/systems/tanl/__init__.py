"""TANL: the candidates that OOD images activate most."""
