"""A user's program with an official SDK for Python (`SDK`: openai or anthropic) that sends each of `CASES` and prints
what was raised. A case: `name`, `model`, `text`; and, where they differ, `base_url`, `api_key`, `headers`, `fill` (length
of a text to add) and `more` (members of the body)."""

import importlib
import json
import os
import sys

name = os.environ["SDK"]
sdk = importlib.import_module(name)


def send(case):
    make = sdk.OpenAI if name == "openai" else sdk.Anthropic
    client = make(
        base_url=case.get("base_url", os.environ["BASE_URL"]),
        api_key=case.get("api_key", os.environ["API_KEY"]),
        default_headers=case.get("headers"),
        max_retries=0,
    )
    text = case["text"] + "a" * case.get("fill", 0)
    request = {"model": case["model"], "messages": [{"role": "user", "content": text}], "extra_body": case.get("more")}
    if name == "openai":
        return client.chat.completions.create(**request)
    return client.messages.create(**request, max_tokens=100)


told = []
for case in json.load(sys.stdin):
    try:
        send(case)
        seen = {"type": None}
    except sdk.APIStatusError as caught:
        error = caught.body if name == "openai" else caught.body["error"]
        seen = {
            "type": type(caught).__name__,
            "status": caught.status_code,
            "kind": error["type"],
            "code": error["code"],
            "param": error["param"],
            "header": caught.response.headers.get("x-request-id"),
            "retry_after": caught.response.headers.get("retry-after"),
            "is_server_error": isinstance(caught, sdk.InternalServerError),
        }
    told.append({"name": case["name"], **seen})
print(json.dumps(told))
