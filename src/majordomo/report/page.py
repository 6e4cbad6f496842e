"""The page at ``/status``: what runs here, how it fares, and what to do next. Plain HTML, no script."""

from functools import cache
from html import escape
from importlib import resources
from string import Template

from majordomo import __version__
from majordomo.report.vitals import State, Vitals

_NAMES = {"database": "Database", "journal": "Journal", "prices": "Prices", "front_desks": "Front desks"}
_WORDS = {State.OK: "all is well", State.DEGRADED: "needs a look", State.DOWN: "something is down"}


@cache
def asset(name: str) -> bytes:
    """One file of ``report/assets``."""
    return resources.files("majordomo.report").joinpath("assets", name).read_bytes()


@cache
def _template() -> Template:
    return Template(asset("page.html").decode())


def render(vitals: Vitals, base: str) -> str:
    """The page; ``base`` is the address that the caller reached, such as ``http://127.0.0.1:7680``."""
    worst = max((part.state for part in vitals.parts.values()), key=list(State).index)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(_NAMES.get(name, name))}</th>'
        f'<td class="state {part.state}">{part.state}</td><td class="quiet">{escape(part.note)}</td></tr>'
        for name, part in vitals.parts.items()
    )
    return _template().substitute(
        version=escape(__version__), overall=_WORDS[worst], overall_state=worst.value, parts=rows, base=escape(base)
    )
