"""Says what Optuna's ask and tell cost at two sizes of the past: `python asking_script.py MOST FOLDER`.

Prints {"cpu_ms": {past: {storage: CPU milliseconds}}}. SQLite is filled to 1,000 trials only: 10,000 take minutes.
"""

import json
import statistics
import sys
import time

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.ERROR)
SPACE = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "width": IntDistribution(16, 512),
    "activation": CategoricalDistribution(("relu", "gelu", "tanh")),
}


def filled(study, trials):
    """Give a study a past."""
    have = len(study.get_trials(deepcopy=False))
    for n in range(have, trials):
        params = {"lr": 10 ** -(1 + n % 4), "width": 16 + n % 400, "activation": "relu"}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=SPACE, value=1 / (n + 1)))
    return study


def cycle_ms(study, times):
    """Return the median CPU time of one ask and tell."""
    costs = []
    for n in range(times):
        began = time.process_time()
        trial = study.ask(SPACE)
        study.tell(trial, 1 / (n + 1))
        costs.append((time.process_time() - began) * 1000)
    return statistics.median(costs)


def study_in(storage, sampler):
    return optuna.create_study(storage=storage, sampler=sampler)


most, folder = int(sys.argv[1]), sys.argv[2]
found = {"10": {}, "10,000": {}}
for size, label in ((10, "10"), (most, "10,000")):
    named = "" if size in (10, 10_000) else f" (at {size:,})"
    found[label][f"Optuna memory{named}"] = cycle_ms(filled(study_in(None, RandomSampler(seed=0)), size), 100)
    journal = JournalStorage(JournalFileBackend(f"{folder}/{size}.log"))
    found[label][f"Optuna journal{named}"] = cycle_ms(filled(study_in(journal, RandomSampler(seed=0)), size), 50)
    few = min(size, 1000)
    named = "" if few == 10 else f" (at {few:,})"
    sqlite = study_in(f"sqlite:///{folder}/{size}.db", RandomSampler(seed=0))
    found[label][f"Optuna SQLite{named}"] = cycle_ms(filled(sqlite, few), 30)
few = min(most, 1000)
tpe = study_in(None, TPESampler(seed=0))
found["10,000"][f"Optuna TPE, memory (at {few:,})"] = cycle_ms(filled(tpe, few), 30)
print(json.dumps({"cpu_ms": found}), flush=True)
