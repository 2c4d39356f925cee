"""What the server answers instead of a painting."""

from __future__ import annotations


class Refusal(Exception):
    """A request that is not answered: its HTTP status, and one line that says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Abandoned(Exception):
    """Nobody waits for this painting any more."""
