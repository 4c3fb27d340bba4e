from conversation_compat import Conversation


def first(*memories: Conversation) -> None:
    print(len(memories))


def second(memory) -> None:
    print(memory)


async def third():
    yield Conversation()
    first(Conversation())
    first(*[Conversation()])
    second(Conversation())
    second(memory=Conversation())
    unknown.memory = Conversation()
    make = lambda: Conversation()
    return await make
