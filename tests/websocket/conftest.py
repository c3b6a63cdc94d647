"""Makes pytest explain assertions in the modules here as it does those of the tests."""

import pytest

pytest.register_assert_rewrite("client_frames")
