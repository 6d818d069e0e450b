"""Education: tutors who choose what is practised next, and one of them who tunes itself to each pupil.

course = taught(self_tuning(needs), tutoring(curriculum(SKILLS)), keys)        a pupil for each key
"""

from selftune.envs.worlds.curriculum import FRACTIONS, Curriculum, curriculum
from selftune.envs.worlds.tutoring import Params, tutoring
from selftune.scenarios.education.lessons import Answer, Course, Moment, Tutor, taught
from selftune.scenarios.education.measures import worth
from selftune.scenarios.education.rivals import expert_rule, fixed_pace, leitner
from selftune.scenarios.education.tutor import self_tuning, untuned

__all__ = [
    "FRACTIONS",
    "Answer",
    "Course",
    "Curriculum",
    "Moment",
    "Params",
    "Tutor",
    "curriculum",
    "expert_rule",
    "fixed_pace",
    "leitner",
    "self_tuning",
    "taught",
    "tutoring",
    "untuned",
    "worth",
]
