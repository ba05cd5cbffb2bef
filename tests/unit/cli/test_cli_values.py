"""Values as people write them and read them."""

from datetime import UTC, datetime, timedelta

import pytest

from orion.cli.shared.output import age_text
from orion.cli.shared.progress import done_percent
from orion.model.amounts import parse_seconds, parse_size
from orion.model.api.tasks import ProgressView
from orion.model.resources import amount_text, column_text, size_text
from unit.api.fake_service import task_view


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("100000000", 100_000_000),
        ("0", 0),
        ("512m", 512 * 1024**2),
        ("512M", 512 * 1024**2),
        ("1g", 1024**3),
        ("1.5GB", 1_500_000_000),
        ("1.5 GB", 1_500_000_000),
        ("2GiB", 2 * 1024**3),
        ("10kB", 10_000),
        ("64b", 64),
        ("1T", 1024**4),
        ("1tb", 10**12),
    ],
)
def test_sizes(text, count):
    assert parse_size(text) == count


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("512m", "512 MiB"),
        ("1.5g", "1.5 GiB"),
        ("1500m", "1500 MiB"),
        ("2GiB", "2 GiB"),
        ("100000000", "100 MB"),
        ("1.5GB", "1.5 GB"),
        ("1TB", "1 TB"),
        ("64k", "64 KiB"),
        ("64kB", "64 kB"),
        ("123456789", "123.5 MB"),
        ("500", "500 B"),
        ("0", "0 B"),
    ],
)
def test_a_size_is_shown_in_the_units_it_was_given_in(given, shown):
    assert size_text(parse_size(given)) == shown


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("10", 10),
        ("2.5", 2.5),
        ("10s", 10),
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1.5h", 5400),
        ("2d", 172_800),
    ],
)
def test_times(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "-1", "1e9", "1.2.3", "10 s", "1y", "inf", "nan", "s10", "10s5"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="is not a time"):
        parse_seconds(text)


@pytest.mark.parametrize("text", ["", "m", "1x", "-1", "1e9", "1.2.3", "1 2", "GB", "1gg", "inf"])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=5), "5s"),
        (timedelta(seconds=-5), "0s"),
        (timedelta(minutes=5), "5m"),
        (timedelta(minutes=100), "100m"),
        (timedelta(hours=30), "30h"),
        (timedelta(days=12), "12d"),
    ],
)
def test_ages(ago, text, monkeypatch):
    now = datetime.now(UTC)

    class Then(datetime):
        @classmethod
        def now(cls, zone=None):
            return now

    monkeypatch.setattr("orion.cli.shared.output.datetime", Then)
    assert age_text((now - ago).isoformat()) == text


def test_no_age():
    assert age_text(None) == ""


@pytest.mark.parametrize(
    ("given", "total", "text"),
    [
        (1_500_000_000, 16_000_000_000, "1.5 of 16 GB"),
        (0, 16e9, "0 of 16 GB"),
        (5_000_000, 16e9, "5 MB of 16 GB"),
        (0, 0, "0 of 0 B"),
        (512 * 1024**2, 4 * 1024**3, "512 MiB of 4 GiB"),
        (1536 * 1024**2, 16_106_127_000, "1.5 of 15.0 GiB"),
        (100_000_000, 16_106_127_000, "100 MB of 16.1 GB"),
        (512 * 1024**2, 8_000_000_000, "536.9 MB of 8 GB"),
    ],
)
def test_amounts(given, total, text):
    assert amount_text(given, total) == text


def test_amounts_in_a_column_are_of_one_family():
    assert amount_text(64 * 1024**2, 24_159_191_040, binary=True) == "64 MiB of 22.5 GiB"
    assert amount_text(0, 24_159_191_040, binary=True) == "0 of 22.5 GiB"
    assert column_text(100_000_000) == "95.4 MiB"
    assert column_text(10 * 1024**3) == "10 GiB"


@pytest.mark.parametrize(
    ("progress", "percent"),
    [
        (ProgressView("downloading", 12_500_000, 50_000_000), 25.0),
        (ProgressView("downloading", 3, 2), 100.0),
        (ProgressView("downloading", 0, 0), None),
        (ProgressView("resolving", 0, 0), None),
        (ProgressView("unpacking", 54, 54), None),
        (None, None),
    ],
)
def test_how_much_is_pulled(progress, percent):
    assert done_percent(task_view("web", progress=progress)) == percent
