from ragtime.services.conversation import ConversationManager
from ragtime.services.model_finetuner import FineTuningMetrics
from ragtime.utils.templates import PromptManager
from ragtime.utils.templates import HTMLTemplateManager
from training_data_generator_compat import TrainingPair
from ragtime.services.training_data_gen import GenerationMetrics, TrainingExample

print(ConversationManager, FineTuningMetrics, PromptManager, HTMLTemplateManager, GenerationMetrics, TrainingExample)
print(TrainingPair)
