"""selftune: reinforcement-learning agents that tune their own hyperparameters while they learn."""

__version__ = "0.1.0"
