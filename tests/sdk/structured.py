"""A user's program with OpenAI's SDK for Python that gets answers in a form of its own."""

import json
import os
from typing import Literal

import openai
from pydantic import BaseModel

client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0)


class Goblin(BaseModel):
    name: str
    age: int
    mood: Literal["grumpy", "merry"]


messages = [{"role": "user", "content": f"Describe a goblin. ({os.environ['MARKER']})"}]
request = {"model": os.environ["MODEL"], "messages": messages}
parsed = client.chat.completions.parse(**request, response_format=Goblin).choices[0].message.parsed
with client.chat.completions.stream(**request, response_format=Goblin) as stream:
    streamed = stream.get_final_completion().choices[0].message.parsed
print(json.dumps({"parsed": parsed.model_dump(), "streamed": streamed.model_dump()}))
