import signal

import pytest


@pytest.fixture
def usual_ctrl_c():
    """Ctrl-C as a program in the foreground has it; what is started in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
