"""A user's program with an official SDK for Python (`SDK`: openai or anthropic) that may try once more."""

import importlib
import json
import os

name = os.environ["SDK"]
sdk = importlib.import_module(name)
make = sdk.OpenAI if name == "openai" else sdk.Anthropic
client = make(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=1)
request = {"model": os.environ["MODEL"], "messages": [{"role": "user", "content": f"Hello ({os.environ['MARKER']})"}]}
if name == "openai":
    text = client.chat.completions.create(**request).choices[0].message.content
else:
    text = client.messages.create(**request, max_tokens=100).content[0].text
print(json.dumps({"text": text}))
