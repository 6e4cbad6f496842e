"""Endpoints that cost nothing: token counts, model lists, moderations, files, batch administration."""

from majordomo.meter.reading import Reading, RequestFacts


class FreeReader:
    """Nothing is billed, so nothing is read or kept."""

    __slots__ = ()

    def feed(self, data: bytes) -> None:
        """Take the next bytes, and let them go."""

    def finish(self, facts: RequestFacts, *, complete: bool) -> Reading:
        """Nothing was used."""
        return Reading()
