"""Chaos: anything may go wrong, but always in the same way for one seed."""

from __future__ import annotations

import collections
import json

import pytest

from rtms_gevent.errors import ConfigurationError
from rtms_gevent.simulator import load_scenario, make_chaos
from rtms_gevent.simulator.scenario.chaos import CALM, chaos_data
from rtms_gevent.simulator.scenario.schema import FAULTS


def faults(data):
    return [entry for entry in data["timeline"] if entry["do"] in FAULTS]


def test_the_same_seed_gives_the_same_scenario():
    assert chaos_data(7, 60) == chaos_data("7", 60)
    assert chaos_data(7, 60) != chaos_data(8, 60)


def test_it_is_data_that_a_user_could_have_written():
    data = chaos_data(7, 60)
    assert json.loads(json.dumps(data)) == data


@pytest.mark.parametrize("seed", range(20))
def test_every_seed_gives_a_valid_scenario_that_ends_calmly(seed):
    scenario = make_chaos(seed, 30)
    assert scenario.duration == 30
    last = max(entry["at"] for entry in faults(chaos_data(seed, 30)))
    assert last <= 30 - CALM


def test_all_happens_sooner_or_later_but_what_ends_streams_or_cannot_be_told_apart():
    happened = collections.Counter(
        entry["do"] for seed in range(10) for entry in faults(chaos_data(seed, 300))
    )
    assert set(happened) == set(FAULTS) - {"certificate", "duplicate", "swap"}


def test_it_has_a_name():
    assert load_scenario("chaos").name == "chaos 0"
    with pytest.raises(ConfigurationError, match="or one of empty, short, standup, chaos"):
        load_scenario("mess")


@pytest.mark.parametrize("duration", [0, -1, float("nan"), True, "9"])
def test_durations(duration):
    with pytest.raises(ConfigurationError, match="duration must be a number of seconds above 0"):
        make_chaos(1, duration)
