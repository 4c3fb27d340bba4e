from unittest import mock
from unittest.mock import patch


@patch("conversation_embedder.ConversationEmbedder.embed_query", return_value=[0.0])
@mock.patch("template_manager.TemplateManager")
def test_it(manager, embed, monkeypatch):
    monkeypatch.setattr("conversation.Conversation.clear", lambda self: None)
    with patch.dict("prompts.DEFAULT_TEMPLATES", {"standard": "{context}"}):
        pass
