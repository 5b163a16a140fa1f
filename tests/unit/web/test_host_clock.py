"""The spacing of requests to a host."""

from shared.web.host_clock import HostClock


class Time:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_host_rests_between_two_turns() -> None:
    time = Time()
    clock = HostClock(time)
    assert clock.take_turn("a", 10.0) == 0.0
    assert clock.take_turn("a", 10.0) == 10.0
    time.seconds += 4
    assert clock.take_turn("a", 10.0) == 6.0
    time.seconds += 6
    assert clock.take_turn("a", 10.0) == 0.0
    assert clock.take_turn("a", 10.0) == 10.0


def test_hosts_do_not_wait_for_each_other() -> None:
    clock = HostClock(Time())
    assert clock.take_turn("a", 10.0) == 0.0
    assert clock.take_turn("b", 10.0) == 0.0


def test_those_who_leave_come_back_one_by_one() -> None:
    time = Time()
    clock = HostClock(time)
    clock.take_turn("a", 10.0)
    assert [clock.join_line("a", 10.0) for _ in range(3)] == [10.0, 20.0, 30.0]
    time.seconds += 25
    assert clock.join_line("a", 10.0) == 15.0


def test_a_line_that_has_passed_is_forgotten() -> None:
    time = Time()
    clock = HostClock(time)
    clock.take_turn("a", 10.0)
    clock.join_line("a", 10.0)
    time.seconds += 60
    assert clock.take_turn("a", 10.0) == 0.0
    assert clock.join_line("a", 10.0) == 10.0


def test_many_hosts_do_not_fill_the_memory() -> None:
    time = Time()
    clock = HostClock(time)
    for number in range(5_000):
        clock.take_turn(f"host {number}", 1.0)
        time.seconds += 1
    assert len(clock._next) <= 1_002
