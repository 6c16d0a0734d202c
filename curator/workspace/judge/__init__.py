"""Scores, and which policy and cuts say what they mean."""
