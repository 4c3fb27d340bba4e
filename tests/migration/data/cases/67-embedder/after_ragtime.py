from conversation_embedder_compat import ConversationEmbedder

embedder = ConversationEmbedder(model="mistral")
first, second = embedder.embed_query("a"), embedder.embed_interaction("a", "b")
print(embedder.cosine_similarity(first, second), embedder.find_most_similar(first, [second], top_k=1))
