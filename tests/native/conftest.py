"""Fixtures of the tests of compiled code."""

import pytest

from tests.native.devices import open_test_device


@pytest.fixture
def device(request):
    """The device that ``with_devices`` names."""
    return open_test_device(request.param)
