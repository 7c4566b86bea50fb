// A user's program with OpenAI's SDK for Node that lets the model call two tools, in one piece and streamed.
import OpenAI from "openai";

const { API_KEY, BASE_URL, MARKER, MODEL } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0 });

const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tool = (name) => ({ type: "function", function: { name, description: `The ${name} of a city`, parameters } });
const request = { model: MODEL, tools: [tool("weather"), tool("time")] };
const question = { role: "user", content: `Please use both tools. (${MARKER})` };

const results = (calls) =>
  calls.map((call) => ({
    role: "tool",
    tool_call_id: call.id,
    content: `${call.function.name} of ${JSON.parse(call.function.arguments).city}`,
  }));
const told = (calls) => calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);

async function unary() {
  const messages = [question];
  const { choices } = await client.chat.completions.create({ ...request, messages });
  const { message, finish_reason: finish } = choices[0];
  // As it came, with whatever the provider wants back.
  messages.push(message, ...results(message.tool_calls));
  const last = (await client.chat.completions.create({ ...request, messages })).choices[0];
  return { calls: told(message.tool_calls), finish, text: last.message.content, last_finish: last.finish_reason };
}

async function streamed() {
  const messages = [question];
  const stream = client.chat.completions.stream({ ...request, messages });
  const { message, finish_reason: finish } = (await stream.finalChatCompletion()).choices[0];
  // The SDK's own additions.
  delete message.parsed;
  for (const call of message.tool_calls) delete call.function.parsed_arguments;
  messages.push(message, ...results(message.tool_calls));
  let text = "";
  let last_finish = null;
  for await (const chunk of await client.chat.completions.create({ ...request, messages, stream: true })) {
    text += chunk.choices[0]?.delta?.content ?? "";
    last_finish = chunk.choices[0]?.finish_reason ?? last_finish;
  }
  return { calls: told(message.tool_calls), finish, text, last_finish };
}

console.log(JSON.stringify({ unary: await unary(), stream: await streamed() }));
