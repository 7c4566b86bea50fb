"""A user's program with OpenAI's SDK for Python that asks for vectors: packed, as the SDK does unasked, and as numbers."""

import json
import os

import openai

client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0)
request = {"model": os.environ["MODEL"], "input": ["a goblin", "two goblins"]}
packed = client.embeddings.create(**request)
floats = client.embeddings.create(**request, encoding_format="float")
short = client.embeddings.create(model=request["model"], input="a goblin", dimensions=4)


def told(answer):
    return {"vectors": [item.embedding for item in answer.data], "tokens": answer.usage.prompt_tokens}


print(json.dumps({"packed": told(packed), "floats": told(floats), "short": told(short)}))
