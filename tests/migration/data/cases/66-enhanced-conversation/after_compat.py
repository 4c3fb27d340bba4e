from enhanced_conversation_compat import EnhancedConversation, get_enhanced_conversation_from_session

memory = EnhancedConversation()
memory.add_interaction("a?", "b", document_ids=["doc-1"])
if memory.is_follow_up_question("and this?"):
    for turn in memory.get_relevant_interactions("a", top_k=1):
        print(turn.query)
vector = memory.embedder.embed_query("a")
print(get_enhanced_conversation_from_session({}).interaction_embeddings)
