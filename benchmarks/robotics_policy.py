"""Train the policy with which `selftune scenario robotics` begins: `python benchmarks/robotics_policy.py`.

A million steps of the self-tuned PPO with everything at its defaults, seed 100, which is no seed of the scenario's own
runs. The run folder is kept; a run that was interrupted goes on.
"""

import json
import shlex
from pathlib import Path

import tyro

import selftune as st
from selftune.agents.beginning import learned
from selftune.experiments.records import circumstances
from selftune.runner.checkpointing import Checkpoints
from selftune.runner.evaluating import evaluate_run
from selftune.runner.plan import planned
from selftune.runner.run_folder import RunFolder
from selftune.scenarios.robotics.policies import ship

TRAINED = Path(__file__).parent.parent / "src" / "selftune" / "scenarios" / "robotics" / "trained"


def main(
    env: str = "HalfCheetah-v5",
    steps: int = 1_000_000,
    seed: int = 100,
    run: Path = Path("runs/robotics_policy"),
    out: Path = TRAINED,
) -> None:
    """Train, and write the policy and what it is worth.

    Args:
        env: The robot.
        steps: Environment steps.
        seed: Of all randomness.
        run: The run folder.
        out: Where the policy goes.
    """
    if run.exists():
        st.resume(run)
    else:
        st.train(env, "ppo", steps=steps, seed=seed, checkpoint_every=steps // 4, out=run)
    folder = RunFolder.open(run)
    _, experiment, _ = planned(folder.config).build()
    try:
        session = Checkpoints(folder.path).latest(experiment.example()).tree
    finally:
        experiment.close()
    returns = evaluate_run(run, episodes=20)
    words = ["python", "benchmarks/robotics_policy.py", "--env", env, "--steps", str(steps), "--seed", str(seed)]
    told = {
        "env": env,
        "agent": "ppo",
        "steps": steps,
        "seed": seed,
        "return": round(float(returns.mean()), 1),
        "lowest_return": round(float(returns.min()), 1),
        "episodes": len(returns),
        "command": shlex.join(words),
        **circumstances(),
    }
    ship(learned(session.agent), out / f"{env}.safetensors", {"env": env, "agent": "ppo", "command": told["command"]})
    (out / f"{env}.json").write_text(json.dumps(told, indent=1) + "\n")
    print(f"{env}: return {told['return']} over {told['episodes']} episodes; written to {out}")


if __name__ == "__main__":
    tyro.cli(main)
