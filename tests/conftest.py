"""What several test files need."""

import pytest
import torch


@pytest.fixture
def one_thread():
    """Small networks only lose by sharing out the work, and their weights depend on how it is shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
