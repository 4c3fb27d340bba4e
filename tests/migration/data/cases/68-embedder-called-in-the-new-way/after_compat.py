from conversation_embedder_compat import ConversationEmbedder

embedder = ConversationEmbedder(encoder=None)
print(embedder.dimension)
