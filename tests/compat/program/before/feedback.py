"""Stores what users think of an answer."""

import time
import uuid

from conport_client import get_conport_client


def store_feedback(session_id, rating, query, response, document_ids, history_length, is_follow_up):
    client = get_conport_client()
    feedback_id = "feedback_" + uuid.uuid4().hex
    value = {
        "feedback_id": feedback_id,
        "timestamp": time.time(),
        "session_id": session_id,
        "rating": rating,
        "query": query,
        "response": response,
        "detailed_feedback": {"relevance": rating, "completeness": rating, "length": "good", "comments": ""},
        "document_ids": document_ids,
        "metadata": {},
        "conversation_context": {"history_length": history_length, "is_follow_up": is_follow_up},
    }
    metadata = {"rating": rating, "timestamp": value["timestamp"], "session_id": session_id}
    return client.log_custom_data("UserFeedback", feedback_id, value, metadata)


def count_feedback():
    client = get_conport_client()
    records = client.search_custom_data_value_fts(
        {
            "workspace_id": client.get_workspace_id(),
            "query_term": "rating",
            "category_filter": "UserFeedback",
            "limit": 500,
        }
    )
    return len([record for record in records if record["value"]["rating"] > 0])
