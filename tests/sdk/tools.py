"""A user's program with OpenAI's SDK for Python that lets the model call two tools, in one piece and streamed."""

import json
import os

import openai

client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key=os.environ["API_KEY"], max_retries=0)


def tool(name):
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": f"The {name} of a city", "parameters": parameters}}


request = {"model": os.environ["MODEL"], "tools": [tool("weather"), tool("time")]}
question = {"role": "user", "content": f"Please use both tools. ({os.environ['MARKER']})"}


def results(calls):
    return [
        {
            "role": "tool",
            "tool_call_id": call["id"],
            "content": f"{call['function']['name']} of {json.loads(call['function']['arguments'])['city']}",
        }
        for call in calls
    ]


def unary():
    messages = [question]
    choice = client.chat.completions.create(**request, messages=messages).choices[0]
    # As it came, with whatever the provider wants back.
    messages.append(choice.message.model_dump(exclude_none=True))
    calls = [call.model_dump() for call in choice.message.tool_calls]
    messages += results(calls)
    last = client.chat.completions.create(**request, messages=messages).choices[0]
    return {
        "calls": [[call["function"]["name"], json.loads(call["function"]["arguments"])] for call in calls],
        "finish": choice.finish_reason,
        "text": last.message.content,
        "last_finish": last.finish_reason,
    }


def streamed():
    messages = [question]
    with client.chat.completions.stream(**request, messages=messages) as stream:
        kinds = {event.type for event in stream}
        choice = stream.get_final_completion().choices[0]
    message = choice.message.model_dump(exclude_none=True)
    for call in message["tool_calls"]:
        # The SDK's own additions.
        call["function"].pop("parsed_arguments", None)
        call.pop("index", None)
    message.pop("parsed", None)
    messages += [message, *results(message["tool_calls"])]
    text, finish = "", None
    for chunk in client.chat.completions.create(**request, messages=messages, stream=True):
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
    calls = message["tool_calls"]
    assert "tool_calls.function.arguments.done" in kinds, kinds
    return {
        "calls": [[call["function"]["name"], json.loads(call["function"]["arguments"])] for call in calls],
        "finish": choice.finish_reason,
        "text": text,
        "last_finish": finish,
    }


print(json.dumps({"unary": unary(), "stream": streamed()}))
