"""A learned policy in files that need no selftune: weights, a description, and a compiled function.

policy.safetensors   what acting needs, by name
policy.json          what goes in, what comes out, how it was learned
policy.stablehlo     `jax.export`: observation, carry, first -> action, carry; the weights are in it
"""

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from selftune import __version__
from selftune.envs import spaces_of
from selftune.runner.arrays import pack
from selftune.runner.evaluating import learned
from selftune.runner.run_folder import write_whole
from selftune.spaces import Box


def export_policy(folder: Path | str, out: Path | str) -> Path:
    """Export the policy of a run's last checkpoint; it takes the likeliest action.

    Args:
        folder: The run folder.
        out: Where to; files of earlier exports are replaced.

    Returns:
        The folder of the three files.

    Raises:
        RunFolderError: There is no run, no whole checkpoint, or the files cannot be written.
    """
    from safetensors.numpy import save

    agent, actor, plan = learned(folder)
    observation_space, action_space = spaces_of(plan.env, plan.drift)
    dtype = observation_space.dtype if isinstance(observation_space, Box) else "float32"
    bounded = isinstance(action_space, Box) and action_space.low is not None

    def policy(observation: Any, carry: Any, first: Any) -> tuple[Any, Any]:
        choice = agent.decide(actor, carry, observation, first)
        action = jnp.clip(choice.action, -1.0, 1.0) if bounded else choice.action  # as the environment's side does
        return action, choice.carry

    (batch,) = export.symbolic_shape("batch")
    shape = observation_space.encoded_shape
    observation = jax.ShapeDtypeStruct((batch, *shape), jnp.dtype(dtype))
    carry = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((batch, *leaf.shape[1:]), leaf.dtype), agent.rest(1))
    first = jax.ShapeDtypeStruct((batch,), jnp.dtype(bool))
    program = export.export(jax.jit(policy), platforms=["cpu", "cuda", "tpu"])(observation, carry, first)
    weights = pack(actor)
    told = {
        "format": "selftune policy 1",
        "selftune": __version__,
        "env": plan.env,
        "agent": plan.agent,
        "inputs": {
            "observation": ["batch", *shape],
            "observation_dtype": dtype,
            "carry": [["batch", *leaf.shape[1:]] for leaf in jax.tree.leaves(agent.rest(1))],
            "first": ["batch"],
            "first_dtype": "bool",
            "first_meaning": "whether an episode begins with this observation",
            "carry_meaning": "zeros at first, then what came out; an empty tuple, (), where the list is empty",
        },
        "call": "action, carry = program.call(observation, carry, first)",
        "outputs": {"action": _spoken(action_space), "carry": "to be handed in at the next step"},
        "weights": {name: list(np.shape(array)) for name, array in weights.items()},
    }
    out = Path(out)
    write_whole(out / "policy.safetensors", save(weights))
    write_whole(out / "policy.json", (json.dumps(told, indent=2) + "\n").encode())
    write_whole(out / "policy.stablehlo", bytes(program.serialize()))
    return out


def _spoken(space: Any) -> dict[str, Any]:
    """What the numbers that come out mean."""
    if isinstance(space, Box):
        ends = None if space.low is None else [-1.0, 1.0]
        return {"kind": "Box", "shape": list(space.shape), "range": ends, "low": space.low, "high": space.high}
    return {"kind": "Discrete", "n": space.n, "start": space.start, "range": [0, space.n - 1]}
