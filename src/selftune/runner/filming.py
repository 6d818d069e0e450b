"""A film of one episode: an animated GIF, where the environment can be drawn."""

from collections.abc import Generator, Iterator
from contextlib import closing
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np

from selftune.agents import Agent
from selftune.envs import Environment, HostEnv, native, open_for_filming
from selftune.envs.drift import Drift
from selftune.envs.opening import open_native
from selftune.errors import MissingExtraError, SettingError
from selftune.runner.replacing import write_whole
from selftune.types import PyTree

LONGEST = 600
"""Frames of a film."""
MILLISECONDS = 33


def film(
    agent: Agent, actor: PyTree, env: str, seed: int, file: Path, drift: Drift | None = None, held: int | None = None
) -> Path:
    """Write an animated GIF of one episode under the likeliest actions; `drift` and `held` as in `open_env`.

    Raises:
        SettingError: The environment cannot be drawn, or the file's name does not end in .gif.
        MissingExtraError: Pillow is not installed.
        RunFolderError: The file cannot be written.
    """
    if file.suffix.lower() != ".gif":
        raise SettingError(f"A film is an animated GIF; got {file.name!r}, expected a name that ends in .gif.")
    try:
        from PIL import Image
    except ImportError as error:
        raise _missing("Pillow") from error
    world = open_native(env, drift, held=held)
    if world is not None:
        frames = _native(agent, actor, world, seed)
    else:
        frames = _drawn(_host(agent, actor, open_for_filming(env, drift, held=held), seed))
    with closing(frames):
        images = [Image.fromarray(np.asarray(frame, np.uint8)) for frame in islice(frames, LONGEST)]
    data = BytesIO()
    images[0].save(data, format="GIF", save_all=True, append_images=images[1:], duration=MILLISECONDS, loop=0)
    return write_whole(file, data.getvalue())


def _drawn(frames: Iterator[Any]) -> Generator[Any]:
    """The frames; a package that draws them and is not there is named with what installs it."""
    from gymnasium.error import DependencyNotInstalled

    try:
        yield from frames
    except DependencyNotInstalled as error:
        raise _missing(str(error).split()[0]) from error


def _missing(package: str) -> MissingExtraError:
    return MissingExtraError(f'Films need {package}, which is not installed: pip install "selftune[film]"')


def _native(agent: Agent, actor: PyTree, env: Environment, seed: int) -> Generator[Any]:
    if env.render is None:
        raise SettingError(f"{env.name} cannot be drawn.")
    key = jax.random.key(seed)
    worlds, carry = native.begin(env, env.params, key, 1), agent.rest(1)
    decide = jax.jit(agent.decide)
    advance = jax.jit(lambda worlds, action, key: native.advance(env, env.params, worlds, action, key))
    for number in range(LONGEST):
        yield env.render(jax.tree.map(lambda leaf: leaf[0], worlds.state), env.params)
        choice = decide(actor, carry, worlds.observation, worlds.first)
        worlds, told = advance(worlds, choice.action, jax.random.fold_in(key, number))
        carry = choice.carry
        if bool(told.finished[0]):
            return


def _host(agent: Agent, actor: PyTree, env: HostEnv, seed: int) -> Generator[Any]:
    try:
        decide, carry, first = jax.jit(agent.decide), agent.rest(1), np.ones(1, bool)
        observation = env.reset(seed)
        for _ in range(LONGEST):
            yield env.frame()
            choice = decide(actor, carry, observation, first)
            step, carry = env.step(np.asarray(choice.action)), choice.carry
            observation, first = step.observation, step.terminated | step.truncated
            if first.any():
                return
    finally:
        env.close()
