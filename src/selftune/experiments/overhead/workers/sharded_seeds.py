"""Seeds of an agent shared out to the devices of this process. Driven by `scaling`.

python -m selftune.experiments.overhead.workers.sharded_seeds ENV AGENT SEEDS

Every line is answered by the seconds of one more update of all seeds. How many devices there are is the environment's
to say, such as XLA_FLAGS=--xla_force_host_platform_device_count=2.
"""

import json
import sys

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from selftune.experiments.overhead.seeds import lap, side_by_side


def main() -> None:
    """Answer until there are no more lines."""
    env, agent, seeds = sys.argv[1:]
    mesh = Mesh(jax.devices(), "seeds")
    update = lap(side_by_side(env, agent), int(seeds), NamedSharding(mesh, PartitionSpec("seeds")))
    update()
    for _ in sys.stdin:
        print(json.dumps(update()), flush=True)


if __name__ == "__main__":
    main()
