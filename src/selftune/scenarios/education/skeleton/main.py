"""A tutor that tunes itself to each pupil: what it makes of real answers, and what it does with a simulated class."""

from pathlib import Path

import jax
import jax.numpy as jnp

from selftune.scenarios.education import Params, fixed_pace, self_tuning, taught, tutoring, worth
from selftune.scenarios.education.logs import follow, next_item, read_answers
from selftune.scenarios.education.skills import read_skills

HERE = Path(__file__).parent
SKILLS, ANSWERS = HERE / "skills.json", HERE / "answers.csv"
CLASS = Params()  # of the simulated class: learning, half_life, level ...
PUPILS = 50

plan = read_skills(SKILLS)
needs = jnp.asarray(plan.needs)
tutor = self_tuning(needs)

for pupil, record in read_answers(ANSWERS, plan).items():
    asked = next_item(tutor, record, plan, day=record[-1].day + 2)
    pace = float(tutor.show(follow(tutor, record))["pace"])
    print(f"{pupil}: {len(record)} answers, pace {pace:.3f} logits an item; next: {asked.skill}, {asked.difficulty}")

env = tutoring(plan)._replace(params=CLASS)
keys = jax.random.split(jax.random.key(0), PUPILS)
for rival in (fixed_pace(len(plan.skills)), tutor):
    own = worth(jax.device_get(taught(rival, env, keys)))
    print(f"{rival.name}: {own.mastered.mean():.2f} skills newly mastered, {own.per_hour.mean():.2f} an hour")
