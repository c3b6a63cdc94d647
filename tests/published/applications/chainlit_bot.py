"""A chat bot in Chainlit, as a reader of its documentation writes one: it repeats what it is told, word by word."""

import chainlit


@chainlit.on_chat_start
async def start() -> None:
    """Greet."""
    chainlit.user_session.set("count", 0)
    await chainlit.Message(content="Say something.").send()


@chainlit.on_message
async def answer(message: chainlit.Message) -> None:
    """Repeat it as a stream, with a button beneath."""
    count = chainlit.user_session.get("count") + 1
    chainlit.user_session.set("count", count)
    reply = chainlit.Message(content=f"Number {count}:")
    for word in message.content.split():
        await reply.stream_token(f" {word.upper()}")
    reply.actions = [chainlit.Action(name="shout", label="Louder", payload={"text": message.content})]
    await reply.send()


@chainlit.action_callback("shout")
async def shout(action: chainlit.Action) -> None:
    """The button."""
    await chainlit.Message(content=f"{action.payload['text'].upper()}!!!").send()
