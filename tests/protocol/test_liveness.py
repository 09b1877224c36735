import pytest

from rtms_gevent.protocol.liveness import Liveness


@pytest.mark.parametrize(
    ("now", "left"),
    [(100.0, 65.0), (101.5, 63.5), (164.9, pytest.approx(0.1)), (165.0, 0.0), (1e9, 0.0)],
)
def test_silence_is_counted_from_the_start(now, left):
    assert Liveness(65.0, now=100.0).left(now) == left


def test_any_sign_of_life_begins_anew():
    liveness = Liveness(65.0, now=0.0)
    liveness.heard(60.0)
    assert liveness.left(60.0) == 65.0
    assert liveness.left(124.0) == 1.0
    assert liveness.left(126.0) == 0.0
    liveness.heard(126.0)
    assert liveness.left(126.0) == 65.0


def test_no_tolerance_is_over_at_once():
    assert Liveness(0.0, now=5.0).left(5.0) == 0.0
