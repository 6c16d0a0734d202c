from __future__ import annotations

import pytest

from curator.generators.embedded.answering import one_torch_thread


def test_torch_gets_its_threads_back_even_after_a_fault():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), one_torch_thread():
        assert torch.get_num_threads() == 1
        raise ZeroDivisionError
    assert torch.get_num_threads() == before
