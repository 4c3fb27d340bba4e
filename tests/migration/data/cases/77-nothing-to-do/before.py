import json

print(json.dumps({"conversation": 1}))
