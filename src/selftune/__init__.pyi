from selftune import (
    agents as agents,
    envs as envs,
    errors as errors,
    guards as guards,
    networks as networks,
    objectives as objectives,
    optim as optim,
    spaces as spaces,
)
from selftune.envs.drift import Change as Change, Drift as Drift
from selftune.estimators import (
    bootstrapped as bootstrapped,
    evolution as evolution,
    forward as forward,
    hoof as hoof,
    implicit as implicit,
    matching as matching,
    mixture as mixture,
    truncated as truncated,
    undifferentiated as undifferentiated,
)
from selftune.learning import (
    Acted as Acted,
    Learner as Learner,
    LearnerState as LearnerState,
    Memory as Memory,
    learner as learner,
)
from selftune.metaparams import (
    BoundNotice as BoundNotice,
    MetaParam as MetaParam,
    between as between,
    contextual as contextual,
    free as free,
    interval as interval,
    one_minus as one_minus,
    per_layer as per_layer,
    per_parameter as per_parameter,
    positive as positive,
    scalar as scalar,
    simplex as simplex,
    unit as unit,
    values as values,
)
from selftune.runner.compile_cache import keep_compiled as keep_compiled
from selftune.runner.evaluating import evaluate_run as evaluate_run
from selftune.runner.exporting import export_policy as export_policy
from selftune.runner.online import OnlineAgent as OnlineAgent
from selftune.runner.run import Run as Run
from selftune.runner.training import resume as resume, train as train
from selftune.tuning import Meta as Meta, Tuner as Tuner, TunerInfo as TunerInfo, audit as audit, tuner as tuner
from selftune.types import Transitions as Transitions

__version__: str
