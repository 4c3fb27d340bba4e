from ragtime.services.conversation import ConversationEmbedder

embedder = ConversationEmbedder(encoder=None)
print(embedder.dimension)
