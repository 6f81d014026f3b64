"""How much is tried, and from which seed: ``FAULTS_SCALE`` and ``FAULTS_SEED`` of the environment."""

from __future__ import annotations

import os
import random

#: 1 is a quick look; ``make faults`` tries forty times as much.
SCALE = float(os.environ.get("FAULTS_SCALE", "1"))
#: Told when a test fails: with the same seed, the same is tried.
SEED = os.environ.get("FAULTS_SEED") or str(random.SystemRandom().randrange(10**9))


def scaled(count: int) -> int:
    """So many in a quick run, and accordingly more in a larger one."""
    return max(1, int(count * SCALE))
