"""A user's program with OpenAI's official SDK for Python. Prints what it saw as one JSON object."""

import json
import os

import openai

client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0)
scenario = os.environ.get("SCENARIO")
request = {
    "model": os.environ["MODEL"],
    "messages": [{"role": "user", "content": "Hello from Python"}],
    "extra_body": {"goblin_test": scenario} if scenario else {},
}

completion = client.chat.completions.create(**request)

text, finish, usage = "", None, None
with client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True}) as stream:
    for chunk in stream:
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
        usage = chunk.usage or usage

error = None
try:
    client.chat.completions.create(**{**request, "model": "gpt-9"})
except openai.APIStatusError as caught:
    error = {
        "type": type(caught).__name__,
        "status": caught.status_code,
        "code": caught.code,
        "param": caught.param,
        "request_id": caught.request_id,
    }

print(
    json.dumps(
        {
            "unary": {
                "text": completion.choices[0].message.content,
                "finish": completion.choices[0].finish_reason,
                "usage": completion.usage.model_dump(),
                "request_id": completion._request_id,
            },
            "stream": {"text": text, "finish": finish, "usage": usage.model_dump()},
            "error": error,
            "models": [model.id for model in client.models.list()],
        }
    )
)
