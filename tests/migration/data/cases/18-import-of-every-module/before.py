import conport_client
import conversation
import conversation_embedder
import conversation_summarizer
import enhanced_conversation
import model_finetuner
import prompts
import template
import template_manager
import training_data_generator

conport_client.get_conport_client()
conversation.Conversation()
conversation_embedder.ConversationEmbedder()
conversation_summarizer.ConversationSummarizer()
enhanced_conversation.EnhancedConversation()
model_finetuner.quick_finetune("pairs.csv")
prompts.get_template("standard")
template.load_html_template()
template_manager.TemplateManager()
training_data_generator.create_training_data_generator()
