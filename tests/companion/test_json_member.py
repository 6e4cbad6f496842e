"""One member of an object changes, and every other byte stays."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from majordomo.companion.json_member import with_member, without_member

NAMES = st.sampled_from(["env", "model", 'a "quoted" {name}', "permissions", "é"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["{", "}", '"env": {', ","]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
LAYOUTS = st.sampled_from([None, 1, 2, 4, "\t"])


@settings(deadline=None)
@given(
    OBJECTS,
    LAYOUTS,
    st.booleans(),
    st.booleans(),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), min_size=1),
)
def test_only_the_member_changes_and_the_order_stays(value, layout, crlf, escaped, env):
    text = json.dumps(value, indent=layout, ensure_ascii=escaped) + "\n"
    text = text.replace("\n", "\r\n") if crlf else text
    changed = with_member(text, "env", env)
    assert json.loads(changed) == {**value, "env": env}
    assert list(json.loads(changed)) == list({**value, "env": env})
    gone = without_member(changed, "env")
    assert list(json.loads(gone).items()) == [pair for pair in value.items() if pair[0] != "env"]


@settings(deadline=None)
@given(OBJECTS, LAYOUTS)
def test_a_member_put_in_and_taken_out_leaves_no_trace(value, layout):
    assume("env" not in value and value)
    text = json.dumps(value, indent=layout)
    assert without_member(with_member(text, "env", {"A": "b"}), "env") == text


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ('{"n": 1.50e3, "env": {}, "z":[1,\n2]}', '{"n": 1.50e3, "env": {\n    "A": "b"\n  }, "z":[1,\n2]}'),
        ('{\n\t"model": "x"\n}', '{\n\t"model": "x",\n\t"env": {\n\t\t"A": "b"\n\t}\n}'),
        ("{}\n", '{\n  "env": {\n    "A": "b"\n  }\n}\n'),
        ('{"env": {"A": 1}, "env": {"A": 2}}', '{"env": {"A": 1}, "env": {\n    "A": "b"\n  }}'),
    ],
    ids=["numbers and spacing of others", "tabs", "empty", "twice: the one that readers take"],
)
def test_the_writers_own_layout_is_kept(text: str, changed: str):
    assert with_member(text, "env", {"A": "b"}) == changed
