"""Imitations of packages, and worlds driven as the runner drives them."""

import sys
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from selftune.envs import native


@pytest.fixture
def imitate(monkeypatch):
    """`imitate(name, **contents)` puts a module of that name in the place of the real one."""

    def imitate(name, **contents):
        module = ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)

    return imitate


@pytest.fixture
def drive():
    """`drive(env, params, actions)`: what each step gave, from one program, and how often it was compiled."""

    def drive(env, params, actions):
        key = jax.random.key(0)
        worlds = native.begin(env, env.params, key, len(actions[0]))
        physics = jax.tree.map(jnp.asarray, params)
        advance = jax.jit(lambda worlds, action, key: native.advance(env, physics, worlds, action, key))
        steps = []
        for number, action in enumerate(actions):
            worlds, step = advance(worlds, jnp.asarray(action), jax.random.fold_in(key, number))
            steps.append(step)
        return jax.tree.map(lambda *leaves: np.stack(leaves), *steps), advance._cache_size()

    return drive
