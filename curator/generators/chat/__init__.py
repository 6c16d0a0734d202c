"""Multimodal language models as describers and reasoners: in this process by transformers, or behind a service."""
