"""What a dispatcher's metric says about partitions, its own and those that were."""

from __future__ import annotations

from prometheus_client import REGISTRY

from services.dispatcher.lag import Lags


def _lag(partition: int) -> float | None:
    return REGISTRY.get_sample_value("recoup_consumer_lag", {"partition": str(partition)})


def test_a_partition_that_has_gone_to_another_dispatcher_is_not_spoken_of_any_more() -> None:
    lags = Lags()
    lags.tell([900, 901], {900: (5, 45), 901: (7, 7)})
    assert (_lag(900), _lag(901)) == (40, 0)
    lags.tell([901, 902], {901: (7, 9), 902: (0, 1)})
    assert (_lag(900), _lag(901), _lag(902)) == (None, 2, 1)
    lags.tell([], {})
    assert (_lag(901), _lag(902)) == (None, None)


def test_a_partition_whose_position_is_not_known_now_keeps_what_was_said() -> None:
    lags = Lags()
    lags.tell([910], {910: (0, 3)})
    lags.tell([910], {})
    assert _lag(910) == 3
