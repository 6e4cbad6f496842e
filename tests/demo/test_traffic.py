"""The demo's traffic: the same for the same seed, of every kind, and nothing that the scripted provider cannot play."""

import json
from itertools import islice, pairwise

import msgspec

from majordomo.demo.call import Call
from majordomo.demo.cast import HABITS
from majordomo.demo.script import read_script
from majordomo.demo.traffic import Chain, Traffic


def flat(chains: list[Chain]) -> list[Call]:
    return [call for chain in chains for call in chain]


def test_the_same_seed_makes_the_same_calls() -> None:
    def everything(seed: int) -> bytes:
        traffic = Traffic(seed)
        return msgspec.json.encode((traffic.first_batch(), list(islice(traffic.trickle(), 100))))

    assert everything(7) == everything(7)
    assert everything(7) != everything(8)


def test_every_script_can_be_played() -> None:
    for seed in range(5):
        for call in flat(Traffic(seed).first_batch()):
            read_script(json.dumps(call.script))


def test_the_first_batch_has_a_little_of_everything() -> None:
    for seed in range(20):
        calls = flat(Traffic(seed).first_batch())
        features = {call.headers.get("X-Majordomo-Feature") for call in calls}
        assert len(features) == len(HABITS)  # each habit's own and Claude Code's; trouble has the chat's
        assert len({call.headers["X-Majordomo-Team"] for call in calls}) >= 6
        assert any(call.hang_up for call in calls)
        assert {call.script.get("status", 200) for call in calls} == {200, 404, 429, 529}
        assert any("break_after" in call.script for call in calls)
        assert not all(call.with_key for call in calls)
        assert {call.path.partition("?")[0].rpartition(":")[2] for call in calls} >= {
            "/v1/chat/completions", "/v1/responses", "/v1/messages", "/v1/embeddings", "generateContent",
            "streamGenerateContent",
        }  # fmt: skip


def test_a_coding_session_grows_turn_by_turn_under_one_id() -> None:
    sessions = [chain for chain in Traffic(1).first_batch() if len(chain) > 1]
    assert len(sessions) == 6
    for chain in sessions:
        assert len({call.headers["X-Claude-Code-Session-Id"] for call in chain}) == 1
        title, *turns = chain
        assert title.body["model"] != turns[0].body["model"]
        lengths = [len(turn.body["messages"]) for turn in turns]
        assert lengths == sorted(set(lengths))
        assert [bool(turn.script.get("tools")) for turn in turns] == [True] * (len(turns) - 1) + [False]
        # what one turn writes to the cache, the next one reads
        for before, after in pairwise(turns):
            was, now = before.script["usage"], after.script["usage"]
            assert now["cache_read_input_tokens"] == (
                was["cache_read_input_tokens"] + was["cache_creation_input_tokens"]
            )
