"""`mini`: the embedded default encoder, with its weights, configuration and model card as package data.

It makes the whole product run offline on any machine. It is a small model with thumbnail eyes, and not CLIP: read
MODEL_CARD.md for what it can and cannot do. Its licence note is there as well.
"""
