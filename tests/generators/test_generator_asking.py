"""Every call is a row, identical ones are answered from the rows, and the budget is kept to the last call."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curator.errors import BankError, BudgetSpent, GeneratorError
from curator.generators.asking import TRIES, Asker, Budget, call_id_of
from curator.generators.planning import DryAsker
from curator.generators.prompts import load_prompt
from curator.generators.requests import Picture, Request, Turn
from curator.systems.conversations import Conversation
from tests.generators.scripted import MemoryCalls, ScriptedGenerator


def about(label: str, *, seed: int = 0, **more) -> Request:
    return Request(load_prompt("look-alikes"), {"label": label, "count": 3}, seed=seed, **more)


def listed(*labels: str) -> str:
    return json.dumps({"labels": list(labels)})


def asker_of(generator, store=None, most=None) -> Asker:
    return Asker(lambda role: generator, store or MemoryCalls(), Budget(most))


def test_a_role_that_another_answers_for_is_asked_and_kept_as_that_one():
    """So what a model said before it also served as viewer is found, and it is loaded once."""
    generator, store = ScriptedGenerator(lambda request: listed("bus"), room=9), MemoryCalls()
    (first,) = asker_of(generator, store).ask("reasoner", [about("tram")])
    asker = Asker(lambda role: generator, store, behind=lambda role: "reasoner")
    (second,) = asker.ask("viewer", [about("tram")])
    assert second.call_id == first.call_id and len(generator.asked) == 1
    assert asker.model("viewer") == "scripted" and asker.room("viewer") == 9
    asker.release("viewer")
    assert generator.closed == 1
    dry = DryAsker(lambda role: generator, store, lambda role: "reasoner")
    assert dry.ask("viewer", [about("tram")])[0].labels == ("bus",)
    assert list(dry.planned) == [("reasoner", "look-alikes")] and dry.room("viewer") == 9


def test_of_a_list_that_was_cut_the_complete_items_are_kept_and_go_into_the_history():
    class Cut(ScriptedGenerator):
        def replies(self, requests, *, allow):
            for reply in super().replies(requests, allow=allow):
                yield replace(reply, facts={"finish_reason": "length"})

    (call,) = asker_of(Cut(lambda request: "<think>what of</think>- bus\n- metro\n- caterp")).ask(
        "reasoner", [about("tram")]
    )
    assert call.status == "answered" and call.labels == ("bus", "metro") and call.answer.dropped == {"cut": 1}
    assert call.turn.reply == listed("bus", "metro")
    (thought,) = asker_of(ScriptedGenerator(lambda request: "<think>hm</think>- bus\n- metro")).ask(
        "reasoner", [about("tram")]
    )
    assert thought.turn.reply == "- bus\n- metro"
    rambling = asker_of(ScriptedGenerator(lambda request: "\n".join(f"- tram {place}" for place in range(7))))
    (long,) = rambling.ask("reasoner", [about("tram")])
    assert len(long.labels) == 6 and long.answer.dropped == {"too_many": 1}, "twice as many as were asked for"
    assert long.turn.reply == listed("tram 0", "tram 1", "tram 2")
    before = replace(long, answer=replace(long.answer, labels=(*long.labels, "tram 6"), dropped={}))
    assert before.turn.reply == long.turn.reply, "also of an answer of an earlier release, which had them all"


def test_answers_stand_in_the_order_of_the_requests():
    generator = ScriptedGenerator(lambda request: listed(f"not {request.slots['label']}"))
    calls = asker_of(generator).ask("reasoner", [about("tram"), about("bus"), about("cat")])
    assert [call.labels for call in calls] == [("not tram",), ("not bus",), ("not cat",)]
    assert {call.status for call in calls} == {"answered"}


def test_an_identical_call_is_answered_from_the_table_and_sent_once():
    store = MemoryCalls()
    generator = ScriptedGenerator(lambda request: listed("moon"))
    first = asker_of(generator, store)
    calls = first.ask("reasoner", [about("tram"), about("tram"), about("bus")])
    again = asker_of(generator, store).ask("reasoner", [about("bus"), about("tram")])
    assert len(generator.asked) == 2 and first.budget.spent == 2
    assert [call.call_id for call in again] == [calls[2].call_id, calls[0].call_id]
    assert again[0].labels == ("moon",) and again[0].output == calls[2].output


@pytest.mark.parametrize(
    "other",
    [
        about("tram", seed=1),
        about("bus"),
        about("tram", settings={"steps": 3}),
        about("tram", pictures=(Picture("a" * 32, lambda: b""),)),
        about("tram", correction=("x", "y")),
        Request(load_prompt("near-outliers"), {"label": "tram", "count": 3}),
    ],
)
def test_all_that_shapes_an_answer_is_in_the_name_of_a_call(other):
    names = {call_id_of("reasoner", "m", "1", request) for request in (about("tram"), other)}
    names |= {call_id_of("reasoner", "m", "2", about("tram")), call_id_of("reasoner", "n", "1", about("tram"))}
    names |= {call_id_of("describer", "m", "1", about("tram"))}
    assert len(names) == 5


def test_a_long_conversation_is_named_and_kept_by_what_is_said_in_it_once():
    """A turn in a history that held the history before it once more made each call twice as long as the last."""
    generator = ScriptedGenerator(lambda request: listed(f"label {len(request.history):02d}"))
    talk, sizes = Conversation(0), []
    for _ in range(16):
        request = talk.request("far-outliers-more" if sizes else "far-outliers", {"classes": ("tram",), "count": 3})
        (call,) = asker_of(generator).ask("reasoner", [request])
        talk.hear(call)
        sizes.append(len(json.dumps(request.content())))
    grown = {later - earlier for earlier, later in itertools.pairwise(sizes[1:])}
    assert max(grown) - min(grown) < 10 and sizes[-1] < 17 * sizes[1]
    shown = [message.text for message in generator.asked[-1].messages()]
    assert len(shown) == 31 and shown[-2] == listed("label 14") and shown[1] == listed("label 00")


def test_what_was_said_before_stays_in_the_name_of_a_call_and_those_of_the_first_two_turns_are_as_they_were():
    first = about("tram")
    second = about("bus", history=(Turn(first, "a"),))
    third = about("car", history=(Turn(first, "a"), Turn(second, "b")))
    assert second.content()["history"] == [[first.content(), "a"]]
    alone = about("car", history=(Turn(first, "a"), Turn(about("bus"), "b")))
    assert third.messages() == alone.messages() and third.digest == alone.digest
    others = [
        replace(third, history=(Turn(first, "c"), Turn(second, "b"))),
        replace(third, history=(Turn(second, "b"), Turn(first, "a"))),
        replace(third, history=(Turn(about("tram", pictures=(Picture("p", bytes),)), "a"), Turn(second, "b"))),
        replace(third, history=third.history[1:]),
    ]
    assert len({request.digest for request in (third, *others)}) == 5


def test_a_conversation_that_outgrows_what_a_row_holds_is_refused_and_not_sent(monkeypatch):
    generator = ScriptedGenerator(lambda request: listed("bus"))
    monkeypatch.setattr("curator.generators.asking.MOST_CHARACTERS", 400)
    with pytest.raises(GeneratorError, match="characters with the 2 turns before it") as fault:
        asker_of(generator).ask("reasoner", [about("tram", history=(Turn(about("a"), "b"),) * 2)])
    assert "fewer labels" in (fault.value.hint or "") and generator.asked == []


def test_what_cannot_be_read_is_asked_again_with_the_fault_shown():
    def script(request):
        return listed("moon") if request.correction else '{"names": ["moon"]}'

    generator = ScriptedGenerator(script)
    store = MemoryCalls()
    (call,) = asker_of(generator, store).ask("reasoner", [about("tram")])
    assert call.labels == ("moon",)
    said = generator.asked[1].messages()
    assert [message.speaker for message in said] == ["user", "assistant", "user"]
    assert said[1].text == '{"names": ["moon"]}' and "without a list" in said[2].text
    assert sorted(row["status"] for row in store.rows.values()) == ["answered", "rejected"]
    asker_of(generator, store).ask("reasoner", [about("tram")])
    assert len(generator.asked) == 2, "the whole chain is answered from the rows"


def test_what_is_never_right_ends_as_a_rejected_row_and_is_not_guessed_at():
    excuses = iter(["I am afraid I cannot help with that", "I really cannot", "No."])
    generator = ScriptedGenerator(lambda request: next(excuses))
    store = MemoryCalls()
    (call,) = asker_of(generator, store).ask("reasoner", [about("tram")])
    assert call.status == "rejected" and call.labels == () and "neither JSON" in (call.fault or "")
    assert len(generator.asked) == len(store.rows) == TRIES
    asker_of(generator, store).ask("reasoner", [about("tram")])
    assert len(generator.asked) == TRIES, "a rejection is final: it would come again"


def test_an_answer_that_was_cut_off_at_its_limit_of_tokens_says_so():
    class Cut(ScriptedGenerator):
        def replies(self, requests, *, allow):
            for reply in super().replies(requests, allow=allow):
                yield replace(reply, facts={"finish_reason": "length", "completion_tokens": 1024})

    cut = Cut(lambda request: '{"labels": ["moo')
    (call,) = asker_of(cut).ask("reasoner", [about("tram")])
    assert call.status == "rejected" and (call.fault or "").startswith("it was cut off after 1024 tokens: ")
    assert "cut off after 1024 tokens" in cut.asked[1].messages()[-1].text, "the model is told"


def test_a_model_that_repeats_itself_is_shown_its_fault_once():
    generator = ScriptedGenerator(lambda request: "No.")
    (call,) = asker_of(generator).ask("reasoner", [about("tram")])
    assert call.status == "rejected" and len(generator.asked) == 2, "the same question has the same answer"


def test_a_failed_call_is_made_again_by_the_next_run_and_one_of_many_stops_none():
    faults = [TimeoutError("timed out"), listed("moon")]
    generator = ScriptedGenerator(lambda request: faults.pop(0) if request.slots["label"] == "tram" else listed("sun"))
    store = MemoryCalls()
    tram, bus = asker_of(generator, store).ask("reasoner", [about("tram"), about("bus")])
    assert tram.status == "failed" and bus.labels == ("sun",)
    tram, bus = asker_of(generator, store).ask("reasoner", [about("tram"), about("bus")])
    assert tram.labels == ("moon",) and len(generator.asked) == 3


def test_a_final_fault_of_one_request_is_a_rejected_row_and_is_not_corrected():
    generator = ScriptedGenerator(lambda request: ValueError("the image cannot be read"))
    (call,) = asker_of(generator).ask("reasoner", [about("tram")])
    assert call.status == "rejected" and call.fault == "the image cannot be read" and len(generator.asked) == 1


def test_what_failed_is_asked_once_a_run():
    generator = ScriptedGenerator(lambda request: TimeoutError("timed out"))
    asker = asker_of(generator)
    first, second = asker.ask("reasoner", [about("tram"), about("bus")])
    assert asker.ask("reasoner", [about("bus"), about("tram")]) == [second, first] and len(generator.asked) == 2


def answers_when_mended(state: dict[str, bool]):
    """Nonsense until it is mended; the bus is understood on the second try."""

    def script(request):
        if state["mended"]:
            return listed("moon")
        return listed("sun") if request.correction and request.slots["label"] == "bus" else "No."

    return script


def test_what_was_rejected_is_asked_anew_where_that_is_wished_and_what_was_answered_stays():
    state, store = {"mended": False}, MemoryCalls()
    generator = ScriptedGenerator(answers_when_mended(state))
    requests = [about("tram"), about("bus")]
    rejected, answered = asker_of(generator, store).ask("reasoner", requests)
    assert (rejected.status, answered.labels) == ("rejected", ("sun",))
    state["mended"], before = True, len(generator.asked)
    assert [call.status for call in asker_of(generator, store).ask("reasoner", requests)] == ["rejected", "answered"]
    assert len(generator.asked) == before, "nobody wished it"
    anew = Asker(lambda role: generator, store, ask_again=True)
    assert [call.labels for call in anew.ask("reasoner", requests)] == [("moon",), ("sun",)]
    assert len(generator.asked) == before + 1, "the bus is answered, on its second try"
    again = asker_of(generator, store).ask("reasoner", requests)
    assert [call.labels for call in again] == [("moon",), ("sun",)] and len(generator.asked) == before + 1


def test_what_is_rejected_anew_is_asked_no_more_in_that_run():
    store = MemoryCalls()
    generator = ScriptedGenerator(lambda request: "No.")
    asker_of(generator, store).ask("reasoner", [about("tram")])
    once, anew = len(generator.asked), Asker(lambda role: generator, store, ask_again=True)
    for _ in range(2):
        assert anew.ask("reasoner", [about("tram")])[0].status == "rejected"
        assert len(generator.asked) == 2 * once


def test_a_dry_run_tells_what_was_rejected_from_what_was_answered():
    state, store = {"mended": False}, MemoryCalls()
    generator = ScriptedGenerator(answers_when_mended(state))
    requests = [about("tram"), about("bus")]
    asker_of(generator, store).ask("reasoner", requests)
    for again, rejected, to_make in ((False, 1, 1), (True, 0, 2)):
        dry = DryAsker(lambda role: generator, store, ask_again=again)
        found = dry.ask("reasoner", [*requests, about("car"), about("bus")])
        (plan,) = dry.plan()
        assert (plan.calls, plan.answered, plan.rejected, plan.to_make) == (3, 1, rejected, to_make)
        assert found[1].labels == ("sun",), "an answer on the second try is one"


def test_why_calls_have_no_answer_is_counted_once_a_call_and_the_commonest_reason_said():
    def script(request):
        label = request.slots["label"]
        return {"a": "No.", "b": TimeoutError("late"), "c": TimeoutError("late"), "d": OSError("cut")}.get(label, "- x")

    generator, store = ScriptedGenerator(script), MemoryCalls()
    asker = asker_of(generator, store)
    assert asker.outcomes.said == ""
    for _ in range(2):
        asker.ask("reasoner", [about(name) for name in "abcde"])
    no_list = "1 of 5 calls were rejected: it is neither JSON by the schema nor a list"
    assert asker.outcomes.said == f"3 of 5 calls failed, 2 of them: late; {no_list}"
    error = asker.outcomes.explained(BankError("nothing is left", hint="ask more"))
    assert error.message == f"nothing is left: {asker.outcomes.said}"
    assert error.hint == "ask more; see `curator query calls`; `ask_again` asks anew what was rejected"
    later = asker_of(generator, store)
    later.ask("reasoner", [about("a")])
    assert later.outcomes.said.startswith("1 of 1 calls were rejected"), "also by a run before"


def test_a_spent_budget_says_what_went_wrong_last():
    generator = ScriptedGenerator(lambda request: TimeoutError("late") if request.slots["label"] == "d" else "- x")
    with pytest.raises(BudgetSpent, match=r"2 calls of reasoner scripted are open; the last fault: late"):
        asker_of(generator, most=3).ask("reasoner", [about(name) for name in "abcd"])


def test_embedded_generators_take_nothing_of_a_budget():
    generator = ScriptedGenerator(lambda request: listed("moon"), model="wordnet")
    asker = asker_of(generator, most=0)
    assert asker.ask("reasoner", [about("tram"), about("bus")])[1].labels == ("moon",)
    assert (asker.budget.spent, asker.budget.free, asker.budget.sent) == (0, 2, 2)


def test_the_budget_is_kept_and_what_was_answered_is_not_lost():
    store = MemoryCalls()
    generator = ScriptedGenerator(lambda request: listed("moon"))
    with pytest.raises(BudgetSpent, match="budget of 2 calls is spent: 3 calls") as caught:
        asker_of(generator, store, most=2).ask("reasoner", [about(name) for name in "abcde"])
    assert "`max_calls`" in (caught.value.hint or "")
    assert len(generator.asked) == len(store.rows) == 2
    calls = asker_of(generator, store, most=3).ask("reasoner", [about(name) for name in "abcde"])
    assert len(calls) == 5 and len(generator.asked) == 5


@given(st.lists(st.sampled_from("abcdefgh"), max_size=12), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_nothing_is_sent_twice_whatever_is_asked_and_wherever_the_budget_ends(names, most):
    store = MemoryCalls()
    generator = ScriptedGenerator(lambda request: listed("moon"))
    for budget in (most, None):
        try:
            calls = asker_of(generator, store, most=budget).ask("reasoner", [about(name) for name in names])
        except BudgetSpent:
            assert len(generator.asked) == most < len(set(names))
    assert [call.request.slots["label"] for call in calls] == names
    assert len(generator.asked) == len(set(names)) == len(store.rows)


def test_calls_that_were_answered_before_a_crash_are_stored():
    def script(request):
        if request.slots["label"] == "a":
            raise KeyboardInterrupt
        return listed("moon")

    store = MemoryCalls()
    with pytest.raises(KeyboardInterrupt):
        asker_of(ScriptedGenerator(script), store).ask("reasoner", [about(name) for name in "abc"])
    assert len(store.rows) == 2


def test_a_picture_is_an_artefact_and_a_missing_file_is_said():
    generator = ScriptedGenerator(lambda request: b"\xff\xd8jpeg")
    store = MemoryCalls()
    asker = asker_of(generator, store)
    (call,) = asker.ask("painter", [Request(load_prompt("draw"), {"label": "moon"})])
    assert call.status == "answered" and asker.artefact(call) == b"\xff\xd8jpeg" and call.facts == {"loss": [1.0]}


def test_another_role_frees_the_one_before_and_release_frees_all():
    made = {}

    def generator_of(role):
        made[role] = ScriptedGenerator(lambda request: listed("moon"), model=role)
        return made[role]

    asker = Asker(generator_of, MemoryCalls())
    asker.ask("reasoner", [about("tram")])
    assert set(made) == {"reasoner"} and made["reasoner"].closed == 0
    asker.ask("describer", [about("tram")])
    assert made["reasoner"].closed == 1 and made["describer"].closed == 0
    asker.release()
    assert made["describer"].closed == 1


def test_a_generator_that_cannot_work_at_all_stops_the_run():
    class Broken(ScriptedGenerator):
        def replies(self, requests, *, allow):
            raise GeneratorError("no such model")

    with pytest.raises(GeneratorError, match="no such model"):
        asker_of(Broken(lambda request: "")).ask("reasoner", [about("tram")])


def test_a_dry_run_lists_what_is_open_and_sends_nothing():
    store = MemoryCalls()
    generator = ScriptedGenerator(lambda request: listed("moon"))
    asker_of(generator, store).ask("reasoner", [about("tram")])
    dry = DryAsker(lambda role: generator, store)
    known, unknown = dry.ask("reasoner", [about("tram"), about("bus")])
    (plan,) = dry.plan()
    assert (plan.calls, plan.answered, plan.to_make) == (2, 1, 1) and '"tram"' in plan.example
    assert known.labels == ("moon",) and unknown.status == "failed" and len(generator.asked) == 1
    dry.expect("reasoner", [about("sea"), about("sand")])
    (plan,) = dry.plan()
    assert (plan.calls, plan.to_make) == (4, 3) and '"tram"' in plan.example
    assert plan.totals() == {"network_passes": None, "all_tokens": None, "hours": None}
    timed = replace(plan, passes=72, seconds=2.4, tokens=100.0)
    assert timed.totals() == {"network_passes": 216, "all_tokens": 300, "hours": 0.002}
