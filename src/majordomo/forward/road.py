"""Whether the way that plans prefer is open; only plans that have a detour ask."""


class Road:
    """Open until somebody closes it. What opens it again is the business of whoever made the detours."""

    __slots__ = ("closed",)

    def __init__(self) -> None:
        self.closed = False

    def fail(self, reason: str) -> None:
        """The far end could not be reached, or something in between answered for it: requests take their detour."""
        self.closed = True
