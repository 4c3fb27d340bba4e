try: from conversation import Conversation
except ImportError: Conversation = None
