"""Where the tutor of `selftune scenario education` starts: constants tried on pupils of other seeds than any table's.

python benchmarks/tutor_start.py

One constant at a time, from those of `START`, and the tuner's step: skills mastered in an hour, means over 400 pupils.
"""

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from selftune.scenarios.education import FRACTIONS, curriculum, self_tuning, taught, tutoring, untuned, worth
from selftune.scenarios.education.tutor import START

SEED, PUPILS = 77, 400
TRIED = {
    "pace": (0.025, 0.05, 0.1, 0.2, 0.4),
    "half_life": (6.0, 12.0, 24.0),
    "learning_rate": (0.05, 0.15, 0.45),
    "level_rate": (0.07, 0.2, 0.6),
    "exploration": (0.025, 0.05, 0.1),
    "discount": (0.1, 0.5, 0.9),
}
STEPS = (0.01, 0.03, 0.1)


def an_hour(tutor) -> tuple[float, float]:
    """Skills mastered in an hour, and two standard errors."""
    keys = jax.random.split(jax.random.key(SEED), PUPILS)
    values = worth(jax.device_get(taught(tutor, tutoring(), keys))).per_hour
    return float(values.mean()), float(2.0 * np.std(values) / np.sqrt(PUPILS))


def main() -> None:
    needs = jnp.asarray(curriculum(FRACTIONS).needs)
    table = Table("constant", "value", "skills an hour")
    trials = [(name, value, untuned(needs, {name: value})) for name, values in TRIED.items() for value in values]
    trials += [("step of the tuner", step, self_tuning(needs, meta_learning_rate=step)) for step in STEPS]
    for name, value, tutor in track(trials, "tutors"):
        mean, error = an_hour(tutor)
        chosen = START.get(name) == value
        table.add_row(name, f"{value:g}{' (START)' if chosen else ''}", f"{mean:.3f} ± {error:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
