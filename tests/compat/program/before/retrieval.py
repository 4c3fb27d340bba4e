"""Finds documents for a question by their embeddings."""

from conversation_embedder import ConversationEmbedder


class Retriever:
    def __init__(self, collection):
        self.embedder = ConversationEmbedder()
        stored = collection.get()
        self.ids, self.texts = stored["ids"], stored["documents"]
        self.vectors = [self.embedder.embed_query(text) for text in self.texts]

    def find(self, question, count=1):
        query_vector = self.embedder.embed_query(question)
        found = self.embedder.find_most_similar(query_vector, self.vectors, top_k=count)
        return [{"id": self.ids[index], "page_content": self.texts[index], "score": score} for index, score in found]

    def likeness(self, first, second):
        return self.embedder.cosine_similarity(self.embedder.embed_query(first), self.embedder.embed_query(second))
