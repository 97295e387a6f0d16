"""SIGKILL of the server, the supervisor and steps at moments drawn from a seed.

CAUDAL_KILLS   how many moments, half of them in each isolation (default 40; `tools/campaign` takes 200)
CAUDAL_SEED    the seed (default 1)
CAUDAL_MOMENT  only this moment of the seed, to see a failure again
"""

import os
import statistics
import threading
import time
import traceback

import pytest

from kills import Moment, World

MOMENTS = int(os.environ.get("CAUDAL_KILLS", "40"))
SEED = os.environ.get("CAUDAL_SEED", "1")
ONLY = os.environ.get("CAUDAL_MOMENT")
WORLDS = 3  # at once; more make each other's steps wait


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def figures(title, values):
    if not values:
        return f"{title}: nothing measured"
    return (f"{title}: p50 {percentile(values, 0.5) * 1000:.0f} ms, p99 "
            f"{percentile(values, 0.99) * 1000:.0f} ms, {len(values)} measured")


class Campaign:
    """All moments of one isolation, in several worlds at once."""

    def __init__(self, isolation, folder, numbers):
        self.isolation, self.folder = isolation, folder
        self.numbers, self.lock = list(numbers), threading.Lock()
        self.faults, self.worlds = [], []

    def run(self):
        threads = [threading.Thread(target=self.inhabit) for _ in range(WORLDS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def inhabit(self):
        world = None
        while (number := self.next()) is not None:
            moment = Moment(SEED, number)
            try:
                world = world or self.new_world()
                world.live_through(moment)
            except Exception as fault:
                world = self.note_fault(world, str(moment), fault)
        try:
            if world:
                world.end()
        except Exception as fault:
            self.note_fault(world, "the end of a world", fault)

    def next(self):
        with self.lock:
            return self.numbers.pop(0) if self.numbers else None

    def new_world(self):
        with self.lock:
            folder = self.folder / f"{self.isolation}-{len(self.worlds)}"
            self.worlds.append(None)
        world = World(self.isolation, folder)
        with self.lock:
            self.worlds.append(world)
        return world

    def note_fault(self, world, what, fault):
        places = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(fault.__traceback__)]
        log = world.server.log_text() if world else ""
        with self.lock:
            self.faults.append(f"--- {what}\n{' > '.join(places)}\n{type(fault).__name__}: "
                               f"{str(fault)[:2500]}\nserver: {log[-1000:]}")
        if world and not os.environ.get("CAUDAL_KEEP"):
            world.abandon()
        return None  # what went wrong in this world must not go on into the next moment

    def report(self):
        worlds = [world for world in self.worlds if world]
        starts = [first - at for world in worlds for at, ledger in world.restarts
                  if (first := ledger.first_start_after(at))]
        losses = [first - at for world in worlds for at, ledger in world.losses
                  if (first := ledger.first_start_after(at))]
        print(f"\n{self.isolation}: {sum(w.kills for w in worlds)} kills")
        print(" ", figures("restart to ready", [r for w in worlds for r in w.readies]))
        print(" ", figures("restart to the first start of an attempt", starts))
        print(" ", figures("death of a supervisor to the next start of an attempt", losses))
        return starts


@pytest.mark.parametrize("isolation", ["process", "sandbox"])
@pytest.mark.timeout(3600)
def test_seeded_kills(isolation, shared_dir, capsys):
    # row: E41
    mine = range(isolation == "sandbox", MOMENTS, 2)
    campaign = Campaign(isolation, shared_dir, [int(ONLY)] if ONLY else mine)
    began = time.monotonic()
    campaign.run()
    with capsys.disabled():
        starts = campaign.report()
        print(f"  {time.monotonic() - began:.0f} s")
    if campaign.faults:
        pytest.fail(f"{len(campaign.faults)} of {len(mine)} moments went wrong; again with "
                    f"CAUDAL_SEED={SEED} CAUDAL_MOMENT=<number>\n" + "\n".join(campaign.faults[:5]),
                    pytrace=False)
    if len(starts) >= 5:
        # 1 s on a quiet machine; the bound leaves room for a busy one.
        assert statistics.median(starts) < 3, "a restarted server takes too long to go on"
