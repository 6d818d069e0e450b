import os

import jax
import pytest

from selftune.runner import compile_cache
from selftune.runner.compile_cache import keep_compiled, tidy


@pytest.fixture
def unset(monkeypatch):
    before = jax.config.values["jax_compilation_cache_dir"]
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    jax.config.update("jax_compilation_cache_dir", None)
    yield monkeypatch
    jax.config.update("jax_compilation_cache_dir", before)


def test_programs_are_kept_in_the_users_cache(unset, tmp_path):
    unset.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert keep_compiled() == tmp_path / "selftune" / "compiled"
    assert jax.config.values["jax_compilation_cache_dir"] == str(tmp_path / "selftune" / "compiled")
    assert keep_compiled() is None, "somebody has said where"


def test_another_choice_stands(unset, tmp_path):
    unset.setenv("JAX_COMPILATION_CACHE_DIR", "")
    assert keep_compiled() is None
    assert jax.config.values["jax_compilation_cache_dir"] is None


def test_a_home_that_cannot_be_written_costs_nothing_else(unset, tmp_path):
    (tmp_path / "file").touch()
    unset.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert keep_compiled() is None
    unset.setenv("XDG_CACHE_HOME", str(tmp_path))
    unset.setattr(compile_cache, "tidy", lambda *_: (_ for _ in ()).throw(PermissionError))
    assert keep_compiled() is None, "another user's folder"


def test_the_longest_unused_go_first(tmp_path):
    for age, name in enumerate("abcd"):
        (tmp_path / name).write_bytes(b"0" * 10)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    tidy(tmp_path, 25)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]
