"""REINFORCE on a small contextual bandit: the mean return of each iteration is noisy, and more is better."""

import argparse
import os
import pickle
import time

import numpy as np


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.3)
    parser.add_argument("--episodes", type=int, default=24)
    parser.add_argument("--iterations", type=int, default=80)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint-dir", default=None)
    args = parser.parse_args()

    world = np.random.default_rng(123)
    payoff = world.normal(0, 1, (6, 5))  # states x actions
    rng = np.random.default_rng(args.seed)
    policy, average, begin = np.zeros((6, 5)), 0.0, 0
    path = args.checkpoint_dir and os.path.join(args.checkpoint_dir, "policy.pkl")
    if path and os.path.exists(path):
        with open(path, "rb") as file:
            policy, average, begin = pickle.load(file)
        # a fresh stream of episodes: nobody replays an environment
        rng = np.random.default_rng([args.seed, begin])

    for iteration in range(begin, args.iterations):
        update, returns = np.zeros_like(policy), []
        for _ in range(args.episodes):
            state = rng.integers(6)
            p = np.exp(policy[state] - policy[state].max())
            p /= p.sum()
            action = rng.choice(5, p=p)
            reward = payoff[state, action] + rng.normal(0, 1)
            returns.append(reward)
            glow = -p
            glow[action] += 1
            update[state] += (reward - average) * glow
        average = 0.9 * average + 0.1 * float(np.mean(returns))
        policy += args.lr * update / args.episodes * 6
        time.sleep(0.008)
        print(f"iteration={iteration} mean_return={np.mean(returns):.3f} average_return={average:.3f}", flush=True)
        if path and iteration % 10 == 9:
            with open(path + ".tmp", "wb") as file:
                pickle.dump((policy, average, iteration + 1), file)
            os.replace(path + ".tmp", path)


if __name__ == "__main__":
    main()
