// A user's program with Anthropic's official SDK for Node: in one piece, streamed, and with tools where `TOOLS` says so.
// Prints what it saw as one JSON object.
import Anthropic from "@anthropic-ai/sdk";

const { API_KEY, BASE_URL, MARKER, MODEL, TOOLS } = process.env;
const client = new Anthropic({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0 });
const request = { model: MODEL, max_tokens: 200, system: "You are a goblin." };
const mark = MARKER ? ` (${MARKER})` : "";

const told = ({ content, stop_reason, usage }) => ({
  text: content.map((block) => (block.type === "text" ? block.text : "")).join(""),
  stop: stop_reason,
  input_tokens: usage.input_tokens,
  output_tokens: usage.output_tokens,
});
const ask = (messages, more) => client.messages.create({ ...request, messages, ...more });
const askStreamed = (messages, more) => client.messages.stream({ ...request, messages, ...more }).finalMessage();

async function withTools(ask) {
  const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const tools = ["weather", "time"].map((name) => ({ name, description: `The ${name} of a city`, input_schema }));
  const messages = [{ role: "user", content: `Please use both tools.${mark}` }];
  const answer = await ask(messages, { tools });
  const calls = answer.content.filter((block) => block.type === "tool_use");
  const results = calls.map(({ id, name, input }) => ({
    type: "tool_result",
    tool_use_id: id,
    content: `${name} of ${input.city}`,
  }));
  messages.push({ role: "assistant", content: answer.content }, { role: "user", content: results });
  const last = told(await ask(messages, { tools }));
  return {
    calls: calls.map(({ name, input }) => [name, input]),
    stop: answer.stop_reason,
    text: last.text,
    last_stop: last.stop,
  };
}

const hello = [{ role: "user", content: `Hello${mark}` }];
const seen = { unary: told(await ask(hello)), stream: told(await askStreamed(hello)) };
if (TOOLS) seen.tools = { unary: await withTools(ask), stream: await withTools(askStreamed) };
console.log(JSON.stringify(seen));
