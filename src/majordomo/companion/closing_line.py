"""What is said at the end of a session, on one line."""

from majordomo.companion import gateway_url
from majordomo.companion.books import Tally
from majordomo.companion.catch_up import CaughtUp
from majordomo.companion.order import Order
from majordomo.meter import claude_display


def closing_line(order: Order, tally: Tally, caught_up: CaughtUp, unrecorded: int) -> str:
    """Requests, tokens, cost, what ``/usage`` shows, the session and its page."""
    requests = "1 request" if tally.requests == 1 else f"{tally.requests} requests"
    tokens = f"{claude_display.tokens(tally.prompt_tokens)} tokens in, {claude_display.tokens(tally.output_tokens)} out"
    parts = [requests, tokens, _cost(tally), f"/usage shows {claude_display.money(tally.usage_cost)}"]
    line = f"{', '.join(parts)}; session {order.session_id}"
    if order.page is not None:
        line += f" {order.page}"
    if order.gateway is not None:
        line += _deliveries(tally.recorded_here, caught_up, order.gateway)
    if unrecorded:
        line += f"; {unrecorded} not recorded, the disk did not take them"
    return line


def _deliveries(recorded_here: int, caught_up: CaughtUp, gateway: str) -> str:
    said = ""
    if caught_up.own:
        said += f"; {caught_up.own} of them delivered to the gateway afterwards"
    if not caught_up.whole and recorded_here > caught_up.own:
        where = "" if gateway == gateway_url.DEFAULT else f" --gateway {gateway}"
        said += f"; {recorded_here - caught_up.own} of them not yet at the gateway: majordomo-companion deliver{where}"
    if caught_up.refused:
        said += f"; {caught_up.refused} refused by the gateway, kept on this machine"
    if caught_up.earlier:
        said += f"; {caught_up.earlier} of earlier sessions delivered"
    return said


def _cost(tally: Tally) -> str:
    cost = f"${tally.dollars:.6f}"
    while cost.endswith("0") and len(cost.partition(".")[2]) > 4:  # four places at least
        cost = cost[:-1]
    if tally.estimated:
        cost = "about " + cost
    if tally.unpriced:
        cost += f" and {tally.unpriced} of unknown price"
    return cost + (" (notional: a subscription pays)" if tally.flat_rate else "")
