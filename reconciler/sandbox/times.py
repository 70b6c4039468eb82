"""Times as the API writes them. As text they also sort by time, so that they are compared as text."""

from datetime import UTC, datetime, timedelta


def written(time: datetime) -> str:
    """A time as the reference writes it: `2019-12-27T18:11:19.117Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def after(time: str, seconds: float) -> str:
    """So much later than `time`, which is one that `written` wrote; `seconds` may be negative."""
    return written(datetime.fromisoformat(time) + timedelta(seconds=seconds))


def epoch_ms(time: str) -> int:
    """Milliseconds since 1970, as log lines carry them."""
    return (datetime.fromisoformat(time) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def normalised(time: str) -> str:
    """Any ISO time as the API writes one; without an offset it is UTC. ValueError where it cannot be."""
    read = datetime.fromisoformat(time)
    # Room on both sides for time zones and for what is added.
    if not 1970 < read.year < 9999:
        raise ValueError("a year from 1971 to 9998")
    return written(read if read.tzinfo else read.replace(tzinfo=UTC))
