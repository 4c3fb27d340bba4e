from conversation import Conversation, logger

logger.info(Conversation())
