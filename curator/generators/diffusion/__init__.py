"""Diffusion models as painters: pipelines of diffusers, and inpainting that a guide steers."""
