"""The web application: questions, ratings, and the conversation in the session."""

import logging
import os
import uuid

from flask import Flask, jsonify, render_template_string, request, session

from context_builder import ContextBuilder, prompt_names, short_prompt
from conversation import (
    clear_conversation_in_session,
    get_conversation_from_session,
)
from documents import Collection
from enhanced_conversation import (
    get_enhanced_conversation_from_session,
    update_enhanced_conversation_in_session,
)
from feedback import store_feedback
from retrieval import Retriever
from template import load_html_template

logger = logging.getLogger(__name__)

app = Flask(__name__)
app.secret_key = os.getenv("FLASK_SECRET_KEY", "not a secret")
builder = ContextBuilder()
retriever = Retriever(Collection())


@app.route("/")
def index():
    return render_template_string(load_html_template(), styles=prompt_names())


@app.route("/ask", methods=["POST"])
def ask():
    query = request.json["query"]
    memory = get_enhanced_conversation_from_session(session)
    documents = retriever.find(query)
    context = builder.build(query, memory, documents, request.json.get("style", "standard"))
    answer = documents[0]["page_content"].split(".")[0] + "."
    memory.add_interaction(
        query=query,
        response=answer,
        document_ids=[document["id"] for document in documents],
        metadata={"query_type": context["query_type"]},
    )
    update_enhanced_conversation_in_session(session, memory)
    related = memory.get_relevant_interactions(query, top_k=1)
    return jsonify(
        {
            "answer": answer,
            "document_ids": [document["id"] for document in documents],
            "prompt": context["prompt"],
            "system_instruction": context["system_instruction"],
            "query_type": context["query_type"],
            "related": [interaction.query for interaction in related],
        }
    )


@app.route("/look-up", methods=["POST"])
def look_up():
    query = request.json["query"]
    found = retriever.find(query)
    return jsonify({"prompt": short_prompt(query, found[0]["page_content"])})


@app.route("/feedback", methods=["POST"])
def feedback():
    memory = get_conversation_from_session(session)
    last = memory.get_last_interaction()
    if last is None:
        return jsonify({"error": "nothing to rate"}), 400
    session.setdefault("id", uuid.uuid4().hex)
    stored = store_feedback(
        session["id"],
        request.json["rating"],
        last.query,
        last.response,
        last.document_ids,
        len(memory.history),
        last.metadata.get("query_type") != "initial",
    )
    logger.info("feedback stored: %s", stored)
    return jsonify({"stored": stored})


@app.route("/history")
def history():
    memory = get_conversation_from_session(session)
    turns = []
    for turn in memory.history:
        turns.append({"query": turn.query, "response": turn.response})
    return jsonify({"turns": turns, "summary": memory.get_summary(max_interactions=2)})


@app.route("/clear", methods=["POST"])
def clear():
    clear_conversation_in_session(session)
    return jsonify({"cleared": True})
