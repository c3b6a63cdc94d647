"""A chat in NiceGUI, as a reader of its documentation writes one: what is said is on every open page."""

import os

from nicegui import app, ui

said: list[str] = []


@ui.refreshable
def conversation() -> None:
    """Show what has been said."""
    for text in said:
        ui.label(text)


@ui.page("/")
def chat() -> None:
    """Show the page."""

    def say() -> None:
        said.append(f"{len(said) + 1}: {entry.value}")
        entry.value = ""
        conversation.refresh()

    async def measure() -> None:
        width = await ui.run_javascript("window.innerWidth")
        ui.notify(f"This window is {width} wide")

    conversation()
    entry = ui.input("What do you say?").on("keydown.enter", say)
    ui.button("Say it", on_click=say)
    ui.button("Measure", on_click=measure)


# What its page may use, in this order; without the variable what NiceGUI takes by itself.
if os.environ.get("TRANSPORTS"):
    app.config.socket_io_js_transports = os.environ["TRANSPORTS"].split()
ui.run(host="127.0.0.1", port=int(os.environ["PORT"]), show=False)
