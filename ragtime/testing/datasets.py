"""A small judged retrieval set for tests."""

from __future__ import annotations

from ragtime.records import Document, RetrievalSet

__all__ = ["mock_dataset"]

_TOPICS = {
    "kettle": ("descale the kettle", "Fill it with vinegar and water, boil once, and rinse it twice."),
    "router": ("reset the router", "Hold the small button at the back for ten seconds until the lamp blinks."),
    "oven": ("clean the oven door", "Warm it to fifty degrees and wipe the glass with a damp cloth."),
    "bicycle": (
        "mend a flat bicycle tyre",
        "Take the tube out, find the hole under water, dry it and glue a patch on.",
    ),
    "printer": (
        "align the printer heads",
        "Print the test page from the service menu and choose the straightest line.",
    ),
    "plant": ("water the balcony plants", "Give them a litre in the evening, less in winter and more in July."),
    "lamp": ("change the bulb of the lamp", "Switch the power off, let it cool, and turn the bulb to the left."),
    "scale": ("calibrate the kitchen scale", "Put the one kilogram weight on it and press the tare key twice."),
    "phone": ("back up the phone", "Plug it in, join the home network, and start the backup in the settings."),
    "heater": ("bleed the heater", "Open the valve with the key until water comes, then close it at once."),
}
_QUESTIONS = ("How do I {}?", "What is the best way to {}?", "Please tell me how to {}.")


def mock_dataset() -> RetrievalSet:
    """Return ten documents about household things, with three questions and one relevant document for each.

    Returns:
        The set; questions share words with their document, so that any sensible encoder finds most of them.
    """
    documents = [Document(id=key, title=f"How to {task}", text=text) for key, (task, text) in _TOPICS.items()]
    queries = {
        f"{key}-{number}": question.format(task)
        for key, (task, _) in _TOPICS.items()
        for number, question in enumerate(_QUESTIONS)
    }
    judgements = {query: {query.rpartition("-")[0]: 1} for query in queries}
    return RetrievalSet.from_documents(documents, queries, judgements, name="household")
