"""Uses the application as its users do, then learns from what they said; prints what happened as JSON."""

import json
import sys

from documents import DOCUMENTS
from feedback import count_feedback
from learning import make_training_data, train
from web import app, retriever


def talk():
    """One user, several questions, one session."""
    client = app.test_client()
    asked = [
        client.post("/ask", json={"query": query}).get_json()
        for query in ("How long does delivery take?", "Who makes repairs here?", "Do vouchers ever end?")
    ]
    asked.append(client.post("/ask", json={"query": "Can you say more about it?", "style": "creative"}).get_json())
    history = client.get("/history").get_json()
    cleared = client.post("/clear").get_json()["cleared"]
    return {
        "asked": asked,
        "history": history,
        "cleared": cleared,
        "after": client.get("/history").get_json(),
        "rated": client.post("/feedback", json={"rating": 5}).status_code,
        "page": client.get("/").get_data(as_text=True),
        "look_up": client.post("/look-up", json={"query": "warranty of a kettle"}).get_json()["prompt"],
    }


def rate():
    """Many users, each with a good answer and a bad one."""
    for text in DOCUMENTS.values():
        topic = text.split()[0].lower()
        for query, rating in ((f"tell me all about {topic}", 5), (f"is {topic} what I asked for", 1)):
            client = app.test_client()
            client.post("/ask", json={"query": query})
            client.post("/feedback", json={"rating": rating})
    return count_feedback()


def main():
    report = {"talk": talk(), "feedback": rate(), "likeness": retriever.likeness("a kettle", "a kettle")}
    data_file, report["examples"] = make_training_data("training_data")
    report["training"] = train(data_file, "fine_tuned_models")
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
