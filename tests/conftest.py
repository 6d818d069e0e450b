"""Every annotation is a test, every warning an error, no shape is promoted behind anyone's back."""

from pathlib import Path

from jaxtyping import install_import_hook

install_import_hook("selftune", "beartype.beartype")

import hypothesis  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402

CACHE = Path(__file__).parent.parent / ".jax_cache"

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

hypothesis.settings.register_profile("selftune", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("selftune")


@pytest.fixture
def float64():
    """Double precision inside one test."""
    with jax.enable_x64(True):
        yield
