"""A known share of the work in a public log of real handling, taken away by an automation, is what the figures say was saved."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.harness import loan_applications
from tests.harness.bpic import CHANNELS, bank, read, replay, sample
from tests.harness.line import running_line

pytestmark = [pytest.mark.slow]

SIZES = {"online": 700, "leads": 350, "offers": 350}
# Arms are drawn by the line with this salt, so that every run of the test is the same one.
SALT = b"bpic 2017, test."


def test_a_known_share_of_real_work_is_recovered_within_the_interval_in_total_and_in_each_stratum(public_data: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="recoup-bpic-"))
    folder.chmod(0o755)
    packages = loan_applications.publish(folder / "packages")
    applications = sample(read(public_data / "eventlogs" / "real-start-end" / "bpic2017_w.csv.gz"), SIZES, seed=1)
    (folder / "line").mkdir(mode=0o755)
    with running_line(folder / "line", kafka=False, packages=packages) as line, bank(line, control_share="0.3", salt=SALT) as here:
        found = replay(here, applications, patience_seconds=60)
    shutil.rmtree(folder, ignore_errors=True)
    assert set(found.strata) == {"*", *CHANNELS}
    assert {name: interval for name, interval in found.strata.items() if not interval.holds} == {}
    assert found.always_valid is not None
    assert found.always_valid.holds, found.always_valid
    # An interval that holds everything would say nothing.
    assert found.strata["*"].half_width < 0.3
    assert all(interval.low > 0 for interval in found.strata.values())
    assert (found.grade, found.differences) == ("A", 0)
    assert found.decided_by_rules > 300
