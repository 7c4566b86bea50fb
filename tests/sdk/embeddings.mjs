// A user's program with OpenAI's SDK for Node that asks for vectors: packed, as the SDK does unasked, and as numbers.
import OpenAI from "openai";

const { API_KEY, BASE_URL, MODEL } = process.env;
const client = new OpenAI({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 0 });
const request = { model: MODEL, input: ["a goblin", "two goblins"] };
const told = ({ data, usage }) => ({ vectors: data.map((item) => item.embedding), tokens: usage.prompt_tokens });

console.log(
  JSON.stringify({
    packed: told(await client.embeddings.create(request)),
    floats: told(await client.embeddings.create({ ...request, encoding_format: "float" })),
    short: told(await client.embeddings.create({ model: MODEL, input: "a goblin", dimensions: 4 })),
  }),
);
