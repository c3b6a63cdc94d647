"""Makes pytest explain the assertions of the helpers here as it does those of the tests."""

import pytest

pytest.register_assert_rewrite("client_frames")
