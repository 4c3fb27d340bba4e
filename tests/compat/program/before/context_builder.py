"""Puts together what a model is told: documents, the conversation so far, and the instructions."""

from typing import Any, Dict, List, Optional

from conversation import Conversation
from conversation_summarizer import ConversationSummarizer
from prompts import DEFAULT_TEMPLATES, get_template
from template_manager import TemplateManager


class ContextBuilder:
    def __init__(self, template_manager: Optional[TemplateManager] = None):
        self.template_manager = template_manager or TemplateManager()
        self.summarizer = ConversationSummarizer()

    def query_type(self, query: str, conversation: Conversation) -> str:
        if not conversation.history:
            return "initial"
        # Questions about what was said before are answered with it at hand.
        if conversation.is_follow_up_question(query):
            return "with_previous_content"
        return "initial"

    def previous_content(self, query: str, conversation: Conversation) -> str:
        lines = []
        for interaction in conversation.get_history()[-2:]:
            lines.append(f"Q: {interaction.query}\nA: {interaction.response}")
        return "\n\n".join(lines)

    def context_params(
        self, query: str, conversation: Conversation, documents: List[Dict[str, Any]]
    ) -> Dict[str, str]:
        summary = self.summarizer.summarize(conversation, max_tokens=200)
        return {
            "context": "\n".join(document["page_content"] for document in documents) or "No relevant documents found.",
            "question": query,
            "previous_content": self.previous_content(query, conversation),
            "conversation_history": summary,
            "conversation_summary": summary,
        }

    def build(
        self,
        query: str,
        conversation: Conversation,
        documents: List[Dict[str, Any]],
        style: str = "standard",
    ) -> Dict[str, Any]:
        query_type = self.query_type(query, conversation)
        params = self.context_params(query, conversation, documents)
        prompt = self.template_manager.get_prompt(style, query_type, params)
        return {
            "prompt": prompt.replace("{question}", query),
            "system_instruction": self.template_manager.get_system_instruction(style),
            "query_type": query_type,
            "is_follow_up": query_type != "initial",
            "has_previous_content": bool(params["previous_content"]),
        }


def short_prompt(query: str, context: str) -> str:
    """A prompt without a conversation, for the button "just look it up"."""
    return get_template("standard").format(context=context, question=query)


def prompt_names() -> List[str]:
    return sorted(DEFAULT_TEMPLATES)
