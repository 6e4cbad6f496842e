"""Random requests, in and out of the OpenAPI document: each is answered as the document says, and never with a 5xx."""

import os
import random
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as some
from one_error import is_the_one_error
from peopled import Peopled
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from served_api import ServedApi

#: Requests to each route, by who asks: most from whom most is answered. `make api-campaign` multiplies them.
ASKERS = {"admin": 10, "member": 5, "key": 5, "nobody": 2}
TIMES = int(os.environ.get("API_TIMES", "1"))
SEED = os.environ.get("API_SEED", "20261125")

#: Longest target (bytes) that is sent; a front desk answers 431 before the back office sees a longer one.
LONGEST = 60_000

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.fixture(scope="module")
def document(served_api: ServedApi) -> Any:
    """The OpenAPI document that the application serves."""
    return schemathesis.openapi.from_url(f"{served_api.url}/api/v1/openapi.json")


@pytest.mark.parametrize("asker", ASKERS)
def test_every_answer_is_as_the_document_says(document: Any, ours: Peopled, asker: str) -> None:
    """Valid and invalid requests to every route, about what is there and about what is not."""
    problems: list[str] = []
    found = list(document.get_all_operations())
    operations = [one.ok() for one in found if hasattr(one, "ok")]
    problems += [f"the document is wrong: {one.err()}" for one in found if not hasattr(one, "ok")]
    assert len(operations) > 30
    for operation in operations:
        if asker in ("admin", "member") and _never_ends(operation):
            continue  # tests/report/usage/test_live.py listens to it
        try:
            _drive(operation, ours, asker)
        except (Exception, FailureGroup) as failure:  # the latter is no Exception, and would end the walk
            problems.append(f"{asker}: {operation.label}: {failure}"[:4000])
    assert not problems, "\n\n".join(problems)


def _never_ends(operation: Any) -> bool:
    answers = operation.definition.raw["responses"].get("200", {})
    return "text/event-stream" in answers.get("content", {})


def _drive(operation: Any, ours: Peopled, asker: str) -> None:
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    cases = some.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))
    chance = random.Random(f"{SEED} {asker} {operation.label}")

    @seed(chance.getrandbits(64))
    @settings(
        max_examples=ASKERS[asker] * TIMES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def answered_as_promised(case: Any) -> None:
        for name in case.path_parameters or {}:
            if name in ours.ids and chance.random() < 0.6:
                case.path_parameters[name] = ours.ids[name]
        assume(len(case.as_transport_kwargs(base_url="")["url"] + urlencode(case.query or {}, doseq=True)) < LONGEST)
        response = case.call(headers=ours.headers(asker))
        assert (
            response.status_code < 400
            or response.request.method == "HEAD"
            or is_the_one_error(response.status_code, response.headers, response.content)
        ), (case.as_curl_command(), response.status_code, response.content[:500])
        own = case.meta.components.get(ParameterLocation.HEADER) if case.meta else None
        replaced = own is not None and own.mode is GenerationMode.NEGATIVE  # by the asker's own headers
        case.validate_response(response, checks=CHECKS, excluded_checks=[negative_data_rejection] if replaced else [])

    answered_as_promised()
