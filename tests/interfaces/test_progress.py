"""The bars of a run: their clocks tell the whole time of a stage."""

from liverimg.pipeline.runner import Outcome, State
from liverimg.terminal.progress import TerminalReporter


def test_the_clock_of_a_stage_runs_until_the_stage_is_through() -> None:
    with TerminalReporter() as reporter:
        tell = reporter.stage_started("segment")
        tell(1.0)
        (bar,) = reporter._bars.tasks
        assert not bar.finished
        reporter.stage_ended(Outcome("segment", State.DONE, 24.0))
        assert bar.finished
