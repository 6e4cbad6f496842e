"""One request as it comes off the wire: its plan, and the body pieces that nobody has taken yet."""

from majordomo.forward.plan import Plan


class Request:
    """Filled by the caller's connection, used up by the exchange."""

    __slots__ = ("body_bytes", "complete", "keep_alive", "pending", "plan")

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.keep_alive = plan.head.keep_alive
        self.pending: list[bytes] = []
        self.body_bytes = 0  # so far, taken or not
        self.complete = False
