"""Images are gathered in pinned memory, which a GPU reads in place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from curator.encoders import EncoderOptions, load_encoder

pytestmark = pytest.mark.gpu


def test_batches_are_gathered_in_pinned_memory_and_encoded_alike():
    if not torch.cuda.is_available():
        pytest.skip("PyTorch sees no GPU")
    encoder = load_encoder(EncoderOptions("mini", device="cuda"))
    size = encoder.preprocess.size
    pixels = np.random.default_rng(0).integers(0, 256, (8, size, size, 3), dtype=np.uint8)
    buffer = encoder.pixel_buffer(16)
    buffer[:8] = pixels
    assert torch.from_numpy(buffer[:8]).is_pinned()
    assert np.array_equal(encoder.encode_images(buffer[:8]), encoder.encode_images(pixels))
