"""Says how long Optuna's journal needs to be opened: `python reopen_script.py TRIALS FOLDER`. Prints {"s": ...}."""

import json
import statistics
import sys
import time

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.ERROR)
trials, path = int(sys.argv[1]), f"{sys.argv[2]}/journal.log"
study = optuna.create_study(study_name="s", storage=JournalStorage(JournalFileBackend(path)))
space = {"lr": FloatDistribution(1e-5, 1e-1, log=True), "width": IntDistribution(16, 512)}
for n in range(trials):
    params = {"lr": 0.001, "width": 16 + n % 400}
    study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=1 / (n + 1)))
costs = []
for _ in range(3):
    began = time.perf_counter()
    found = optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(path)))
    count = len(found.get_trials(deepcopy=False))
    costs.append(time.perf_counter() - began)
assert count == trials
print(json.dumps({"s": statistics.median(costs)}), flush=True)
