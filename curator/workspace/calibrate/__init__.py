"""Calibrations: thresholds from reference images, whether they hold, and stored vectors under other banks."""
