// A user's program with OpenAI's official SDK for Node. Prints what it saw as one JSON object.
import OpenAI from "openai";

const { API_KEY, BASE_URL, MODEL, SCENARIO } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0 });
const request = {
  model: MODEL,
  messages: [{ role: "user", content: "Hello from Node" }],
  ...(SCENARIO ? { goblin_test: SCENARIO } : {}),
};

const { data: completion, request_id } = await client.chat.completions.create(request).withResponse();

let text = "";
let finish = null;
let usage = null;
const stream = await client.chat.completions.create({
  ...request,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? "";
  finish = chunk.choices[0]?.finish_reason ?? finish;
  usage = chunk.usage ?? usage;
}

let error = null;
try {
  await client.chat.completions.create({ ...request, model: "gpt-9" });
} catch (caught) {
  error = {
    type: caught.constructor.name,
    status: caught.status,
    code: caught.code,
    param: caught.param,
    request_id: caught.requestID,
  };
}

const models = [];
for await (const model of client.models.list()) models.push(model.id);

console.log(
  JSON.stringify({
    unary: {
      text: completion.choices[0].message.content,
      finish: completion.choices[0].finish_reason,
      usage: completion.usage,
      request_id,
    },
    stream: { text, finish, usage },
    error,
    models,
  }),
);
