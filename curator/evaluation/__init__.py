"""How well a bank and a method tell ID from OOD: which images, which labels, which figures, and the published ones.

Pure values and files; reading, embedding and scoring the images is the work of curator/workspace/evaluate/run.py.
"""
