try: from conversation_compat import Conversation
except ImportError: Conversation = None
