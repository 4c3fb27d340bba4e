from conversation_compat import Conversation


class Memory(Conversation):
    def add_interaction(self, query, response, document_ids=None, metadata=None):
        super().add_interaction(query, response, document_ids, metadata)
        print(self.history, self.size)

    @property
    def size(self):
        return len(self.get_history())


memory = Memory()
memory.add_interaction("a?", "b")
print(memory.get_summary())
