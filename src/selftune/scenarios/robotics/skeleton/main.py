"""A robot that learns on, and tunes itself, when its world changes: beside a fixed agent that begins with the same."""

from pathlib import Path

from selftune.envs.drift import read
from selftune.scenarios.robotics import Robot, cost, make_agent, rider, trained, updates_before

HERE = Path(__file__).parent

ROBOT = Robot("HalfCheetah-v5", speed=8, pitch=1)  # its id, and where its speed and its pitch stand in the observation
BEGIN = trained(ROBOT.env)  # what both agents have learned before; None: they begin with nothing
SETTINGS = {"num_envs": 16, "rollout_length": 128}
AFTER = 49_152  # environment steps after the change
EPISODE = 1000  # control steps of the longest episode
STILL = 0.1  # m/s: who was slower before the change has hardly a speed to lose
SEEDS = range(2)


def main() -> None:
    """Ride through the change, fixed and self-tuned, and say what it cost."""
    drift = read(HERE / "drift.json")
    per_update = SETTINGS["num_envs"] * SETTINGS["rollout_length"]
    before, after = updates_before(drift, per_update), AFTER // per_update
    for name in ("fixed", "meta_gradient"):
        ride = rider(make_agent(ROBOT, name, SETTINGS), ROBOT)
        for seed in SEEDS:
            course = ride(BEGIN, drift, seed, before + after)
            own = cost(course, before, window=-(-EPISODE // SETTINGS["rollout_length"]))
            told = "lost no speed" if own.recovery == 0 else f"back after {own.recovery:,.0f} steps"
            told = told if own.recovered else "did not recover"
            told = told if own.before > STILL else "stood nearly still before: give it more to begin with"
            print(f"{name}, seed {seed}: {own.before:.2f} m/s, then {own.lowest:.2f}; {told}; reward {own.reward:,.1f}")


if __name__ == "__main__":
    main()
