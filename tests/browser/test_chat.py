"""The chat example in a real browser: what people do with it, and what happens to them when the server dies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.windows import NO_WEBSOCKET, Window, expect
from tests.serving import ROOT, Server, serve

NewWindow = Callable[..., Window]


@pytest.fixture
def chat(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The running example, with an empty database."""
    monkeypatch.setenv("CHAT_DATABASE", str(tmp_path / "chat.sqlite3"))
    with serve(ROOT / "example" / "main_app.py") as server:
        yield server


@pytest.fixture
def window(browser: Any, chat: Server) -> Iterator[NewWindow]:
    """Opens windows; none of them may have met an error in a script, or a broken policy."""
    windows: list[Window] = []

    def new(script: str = "", **options: Any) -> Window:
        windows.append(Window(browser, chat.url, script, **options))
        return windows[-1]

    yield new
    problems = [problem for window in windows for problem in window.problems]
    for each in windows:
        each.context.close()
    assert problems == []


def test_two_people_talk(window: NewWindow) -> None:
    anna = window().enter("Anna")
    ben = window().enter("Ben")
    for each in (anna, ben):
        expect(each.people).to_have_text(["Anna", "Ben"])
        expect(each.page.locator("#people-count")).to_have_text("2")
    anna.say("Hello Ben")
    expect(ben.words).to_have_text(["Hello Ben"])
    expect(anna.text).to_have_value("")
    ben.say("Hello Anna")
    for each in (anna, ben):
        expect(each.words).to_have_text(["Hello Ben", "Hello Anna"])
        expect(each.page.locator("#messages .who")).to_have_text(["Anna", "Ben"])
    moment = anna.page.locator("#messages time").first
    expect(moment).to_have_attribute("datetime", re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$"))
    expect(anna.page.locator(".mine")).to_have_count(1)


def test_who_comes_later_sees_the_last_fifty_messages(window: NewWindow) -> None:
    anna = window().enter("Anna")
    said = [f"message {number}" for number in range(55)]
    for text in said:
        anna.say(text)
    expect(anna.words).to_have_text(said)
    ben = window().enter("Ben")
    expect(ben.words).to_have_text(said[5:])
    expect(ben.words.last).to_be_in_viewport()
    anna.page.reload()
    expect(anna.name).to_have_value("Anna")
    anna.join("Anna")
    expect(anna.words).to_have_text(said[5:])


def test_who_leaves_is_gone_and_their_name_is_free(window: NewWindow) -> None:
    anna, ben = window().enter("Anna"), window().enter("Ben")
    anna.page.get_by_role("button", name="Leave").click()
    expect(ben.people).to_have_text(["Ben"])
    expect(anna.people).to_have_text(["Ben"])
    expect(anna.name).to_be_focused()
    ben.say("Are you gone?")
    expect(ben.words).to_have_text(["Are you gone?"])
    clara = window().enter("Clara")
    clara.context.close()
    expect(ben.people).to_have_text(["Ben"])
    anna.join("Clara")
    expect(anna.words).to_have_text(["Are you gone?"])
    expect(ben.people).to_have_text(["Ben", "Clara"])


def test_a_name_in_use_is_refused(window: NewWindow) -> None:
    window().enter("Anna")
    other = window().open().join("ANNA")
    problem = other.page.get_by_role("alert")
    expect(problem).to_have_text("Somebody called “Anna” is in the room already. Please choose another name.")
    expect(other.name).to_have_attribute("aria-invalid", "true")
    expect(other.name).to_be_focused()
    other.join("Anna B.")
    expect(other.people).to_have_text(["Anna", "Anna B."])
    elsewhere = window().add_room("Kitchen")
    window().enter("Anna", elsewhere)  # the same name in another room is fine


def test_the_name_is_suggested_in_the_next_room(window: NewWindow) -> None:
    anna = window().enter("Anna")
    kitchen = anna.add_room("Kitchen")
    expect(anna.name).to_have_value("Anna")
    expect(window().open(kitchen).name).to_have_value("")


def test_the_list_of_rooms_counts_people_live(window: NewWindow) -> None:
    lobby = window()
    kitchen = lobby.add_room("Kitchen")
    lobby.open("/")
    counts = lobby.page.locator(".count")
    expect(lobby.connection).to_have_text("Live")
    expect(counts).to_have_text(["nobody", "nobody"])
    window().enter("Anna", kitchen)
    ben = window().enter("Ben", kitchen)
    window().enter("Clara")
    expect(counts).to_have_text(["2 people", "1 person"])
    ben.page.get_by_role("button", name="Leave").click()
    expect(counts).to_have_text(["1 person", "1 person"])
    lobby.page.reload()
    expect(counts).to_have_text(["1 person", "1 person"])


def test_the_system_speaks_to_one_room_and_to_all(window: NewWindow) -> None:
    house = window()
    kitchen = house.add_room("Kitchen")
    anna, ben, lobby = window().enter("Anna"), window().enter("Ben", kitchen), window().open("/")
    expect(lobby.connection).to_have_text("Live")
    house.announce("Dinner is ready", "Kitchen")
    expect(house.page.get_by_role("status")).to_have_text("Sent to everybody in the room “Kitchen”.")
    expect(ben.page.locator(".house .words")).to_have_text(["Dinner is ready"])
    house.announce("Closing time")
    expect(ben.page.locator(".house .words")).to_have_text(["Dinner is ready", "Closing time"])
    expect(anna.page.locator(".house .words")).to_have_text(["Closing time"])
    expect(lobby.page.locator("#system")).to_have_text("Closing time")


def test_the_system_speaks_to_nobody(window: NewWindow) -> None:
    house = window()
    house.announce("Anybody?")
    expect(house.page.get_by_role("alert")).to_contain_text("Nobody is connected to any room right now")
    expect(house.text).to_have_value("Anybody?")
    window().enter("Anna", house.add_room("Kitchen"))
    house.announce("Anybody?", "Lounge")
    expect(house.page.get_by_role("alert")).to_contain_text("Nobody is connected to the room “Lounge”")


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_everybody_is_back_by_themselves_after_a_restart(window: NewWindow, chat: Server, end: str) -> None:
    anna, ben = window().enter("Anna"), window().enter("Ben")
    anna.say("before")
    expect(ben.words).to_have_text(["before"])
    if end == "kill":
        assert chat.process
        chat.process.kill()
        chat.process.wait()
    else:
        chat.stop()
    for each in (anna, ben):
        expect(each.connection).to_have_text("Reconnecting…")
    anna.say("typed meanwhile")
    expect(anna.page.get_by_role("alert")).to_contain_text("There is no connection right now.")
    chat.start()
    for each in (anna, ben):
        expect(each.connection).to_have_text("Connected")
        expect(each.people).to_have_text(["Anna", "Ben"])
    anna.text.press("Enter")
    expect(ben.words).to_have_text(["before", "typed meanwhile"])
    ben.say("after")
    expect(anna.words).to_have_text(["before", "typed meanwhile", "after"])
    expect(anna.page.locator("#talk-problem")).to_be_hidden()


def test_who_lost_the_name_during_an_interruption_is_told(window: NewWindow, chat: Server) -> None:
    anna = window().enter("Anna")
    anna.page.evaluate("socket.io.opts.reconnection = false")
    chat.stop()
    expect(anna.connection).to_have_text("Reconnecting…")
    chat.start()
    window().enter("Anna")
    anna.page.evaluate("socket.connect()")
    expect(anna.page.get_by_role("alert")).to_contain_text("Somebody called “Anna” is in the room already.")
    expect(anna.name).to_be_visible()


def test_a_window_takes_its_own_name_over_from_a_dead_connection(window: NewWindow) -> None:
    anna, ben = window().enter("Anna"), window().enter("Ben")
    # The connection of before is still there, as far as the server knows, when the window comes with a new one.
    anna.page.evaluate("() => { window.newer = io({ forceNew: true }); }")
    answer = anna.page.evaluate("newer.timeout(10000).emitWithAck('join', room, 'Anna', token)")
    assert answer["people"] == ["Anna", "Ben"]
    anna.page.evaluate("socket.disconnect()")
    other = window().open().join("Anna")
    expect(other.page.get_by_role("alert")).to_contain_text("Somebody called “Anna” is in the room already.")
    expect(ben.people).to_have_text(["Anna", "Ben"])
    anna.page.evaluate("window.newer.disconnect()")
    expect(ben.people).to_have_text(["Ben"])


def test_without_websocket_it_works_by_polling(window: NewWindow, chat: Server) -> None:
    anna, ben = window(NO_WEBSOCKET).enter("Anna"), window().enter("Ben")
    expect(anna.people).to_have_text(["Anna", "Ben"])
    anna.say("by polling")
    ben.say("by WebSocket")
    for each in (anna, ben):
        expect(each.words).to_have_text(["by polling", "by WebSocket"])
    assert anna.page.evaluate("socket.io.engine.transport.name") == "polling"
    assert chat.process
    chat.process.kill()
    chat.process.wait()
    expect(anna.connection).to_have_text("Reconnecting…")
    chat.start()
    expect(anna.people).to_have_text(["Anna", "Ben"])
    anna.context.close()
    expect(ben.people).to_have_text(["Ben"])


def test_nothing_is_read_as_html(window: NewWindow) -> None:
    nasty = "<script>alert(1)</script> & <b>"
    kitchen = window().add_room(nasty[:30])
    anna = window().enter("<i>Anna</i> &amp;", kitchen)
    expect(anna.page.get_by_role("heading", level=1)).to_have_text(nasty[:30])
    anna.say(nasty)
    expect(anna.words).to_have_text([nasty])
    expect(anna.page.locator("#messages .who")).to_have_text(["<i>Anna</i> &amp;"])
    expect(anna.people).to_have_text(["<i>Anna</i> &amp;"])
    house = window()
    house.announce(nasty, nasty[:30])
    expect(anna.words).to_have_text([nasty, nasty])
    assert anna.page.locator("#chat script, #chat b, #chat i").count() == 0


def test_a_message_that_is_too_long_is_given_back(window: NewWindow) -> None:
    anna = window().enter("Anna")
    anna.page.evaluate("textInput.removeAttribute('maxlength')")
    anna.say("x" * 1001)
    expect(anna.page.get_by_role("alert")).to_contain_text("1000 characters at most, this has 1001")
    expect(anna.text).to_have_value("x" * 1001)
    anna.say("short")
    expect(anna.words).to_have_text(["short"])
    expect(anna.page.locator("#talk-problem")).to_be_hidden()


def test_only_who_is_in_a_room_hears_and_speaks_there(window: NewWindow) -> None:
    anna, outside = window().enter("Anna"), window().open()
    expect(outside.connection).to_have_text("Connected")
    refusal = outside.page.evaluate("socket.timeout(10000).emitWithAck('__subscribe__', 'room-1')")
    assert refusal["error"]["message"] == "Join a room to follow it."
    outside.page.evaluate("() => { window.heard = []; socket.onAny((event, value) => heard.push(value.action)); }")
    outside.page.evaluate("() => { socket.emit('message', 'from outside'); }")
    anna.say("inside")
    expect(anna.words).to_have_text(["inside"])
    window().enter("Ben")
    outside.page.wait_for_function("heard.includes('people')")
    assert outside.page.evaluate("heard.includes('message')") is False


@pytest.mark.parametrize("arguments", ["", "1", "null, null, null", "99, 'A', token", "1, {}, token", "1, 'A', 'x'"])
def test_a_strange_client_is_answered(window: NewWindow, arguments: str) -> None:
    anna = window().open()
    comma = ", " if arguments else ""
    answer = anna.page.evaluate(f"socket.timeout(10000).emitWithAck('join'{comma}{arguments})")
    assert answer["error"]["message"]


def test_on_a_phone_the_input_stays_in_view(window: NewWindow) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    anna = window(**phone)
    kitchen = anna.add_room("The room with the longest name")
    anna.enter("W" * 30, kitchen)
    for name in ("Maximiliane Oberwasserlechner", "Ben", "Clara", "Dora"):
        window().enter(name, kitchen)
    for number in range(20):
        anna.say(f"{number} " + "Donaudampfschifffahrt" * (number % 6))
    expect(anna.words).to_have_count(20)
    expect(anna.words.last).to_be_in_viewport()
    expect(anna.text).to_be_in_viewport(ratio=1)
    expect(anna.page.get_by_role("button", name="Send")).to_be_in_viewport(ratio=1)
    anna.page.set_viewport_size({"width": 390, "height": 480})  # the keyboard is up
    expect(anna.text).to_be_in_viewport(ratio=1)
    expect(anna.words.last).to_be_in_viewport()
    for path in (None, "/", kitchen, "/system"):
        if path:
            anna.open(path)
        root = "document.documentElement"
        assert anna.page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"), path


def test_everything_can_be_done_with_the_keyboard(window: NewWindow) -> None:
    page = window().open("/").page
    press, focused = page.keyboard.press, page.locator(":focus")
    press("Tab")
    expect(focused).to_have_text("Skip to the content")
    for target in ("Chat", "Rooms", "System message", re.compile("Lounge")):
        press("Tab")
        expect(focused).to_have_text(target)
    press("Enter")
    expect(page.get_by_label("Your name")).to_be_focused()
    page.keyboard.type("Anna")
    press("Enter")
    text = page.get_by_label("Message", exact=True)
    expect(text).to_be_focused()
    page.keyboard.type("no mouse")
    press("Enter")
    expect(page.locator("#messages .words")).to_have_text(["no mouse"])
    expect(text).to_be_focused()
    press("Escape")
    press("Shift+Tab")
    expect(page.get_by_role("log")).to_be_focused()
    press("Shift+Tab")
    expect(focused).to_have_text("Leave")
    press("Enter")
    expect(page.get_by_label("Your name")).to_be_focused()


def test_without_colours_of_its_own_it_follows_the_system(window: NewWindow) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = window(color_scheme="light").open("/").page.evaluate(ground)
    dark = window(color_scheme="dark").open("/").page.evaluate(ground)
    assert light == "rgb(244, 243, 239)"
    assert dark == "rgb(20, 24, 26)"
