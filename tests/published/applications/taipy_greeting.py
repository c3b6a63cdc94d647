"""A form in Taipy GUI, as a reader of its documentation writes one: a name is answered, and a count is everybody's."""

import os

from taipy.gui import Gui, broadcast_callback

PAGE = """
# Greeting

<|{name}|input|id=name|label=Your name|>
<|Is it {name}?|text|id=echo|>
<|Greet|button|on_action=greet|id=greet|>

<|{greeting}|text|id=greeting|>

<|Greeted: {count}|text|id=count|>
"""
name = ""
greeting = ""
count = 0
greeted = []


def greet(state):
    """Answer, and bring every window up to date."""
    greeted.append(state.name)
    state.greeting = f"Hello, {state.name}!"
    broadcast_callback(gui, show_count)


def show_count(state):
    """Bring one window up to date."""
    state.count = len(greeted)


def on_init(state):
    """A new window."""
    show_count(state)


gui = Gui(page=PAGE)
gui.run(host="127.0.0.1", port=int(os.environ["PORT"]), run_browser=False)
