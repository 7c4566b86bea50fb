// A user's program with OpenAI's SDK for Node that gets answers in a form of its own.
import OpenAI from "openai";

const { API_KEY, BASE_URL, MARKER, MODEL } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0 });

const schema = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" }, mood: { type: "string", enum: ["grumpy", "merry"] } },
  required: ["name", "age", "mood"],
  additionalProperties: false,
};
const request = {
  model: MODEL,
  messages: [{ role: "user", content: `Describe a goblin. (${MARKER})` }],
  response_format: { type: "json_schema", json_schema: { name: "goblin", strict: true, schema } },
};
const completion = await client.chat.completions.create(request);
const stream = client.chat.completions.stream(request);
console.log(
  JSON.stringify({
    parsed: JSON.parse(completion.choices[0].message.content),
    streamed: JSON.parse(await stream.finalContent()),
  }),
);
