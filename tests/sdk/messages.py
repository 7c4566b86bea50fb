"""A user's program with Anthropic's official SDK for Python: in one piece, streamed, and with tools where `TOOLS` says so.
Prints what it saw as one JSON object."""

import json
import os

import anthropic

client = anthropic.Anthropic(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0)
request = {"model": os.environ["MODEL"], "max_tokens": 200, "system": "You are a goblin."}
mark = f" ({os.environ['MARKER']})" if "MARKER" in os.environ else ""


def told(message):
    return {
        "text": "".join(block.text for block in message.content if block.type == "text"),
        "stop": message.stop_reason,
        "input_tokens": message.usage.input_tokens,
        "output_tokens": message.usage.output_tokens,
    }


def ask(messages, **more):
    return client.messages.create(**request, messages=messages, **more)


def ask_streamed(messages, **more):
    with client.messages.stream(**request, messages=messages, **more) as stream:
        return stream.get_final_message()


def with_tools(ask):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tools = [{"name": name, "description": f"The {name} of a city", "input_schema": schema} for name in ("weather", "time")]
    messages = [{"role": "user", "content": f"Please use both tools.{mark}"}]
    answer = ask(messages, tools=tools)
    calls = [block for block in answer.content if block.type == "tool_use"]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": f"{call.name} of {call.input['city']}"} for call in calls
    ]
    messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    last = told(ask(messages, tools=tools))
    return {
        "calls": [[call.name, call.input] for call in calls],
        "stop": answer.stop_reason,
        "text": last["text"],
        "last_stop": last["stop"],
    }


hello = [{"role": "user", "content": f"Hello{mark}"}]
seen = {"unary": told(ask(hello)), "stream": told(ask_streamed(hello))}
if "TOOLS" in os.environ:
    seen["tools"] = {"unary": with_tools(ask), "stream": with_tools(ask_streamed)}
print(json.dumps(seen))
