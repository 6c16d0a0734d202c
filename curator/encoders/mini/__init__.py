"""`mini`: the embedded default encoder, with its weights, configuration and model card as package data.

It makes the whole product run offline on any machine. It recognises everyday objects in ordinary photographs, and is
not CLIP: read MODEL_CARD.md for what it can and cannot do. The licences of what it is made of are in NOTICE.
"""
