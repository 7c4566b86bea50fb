// A user's program with an official SDK for Node (`SDK`: openai or anthropic) that sends each of the cases on its
// standard input and prints what was thrown. A case: `name`, `model`, `text`; and, where they differ, `base_url`,
// `api_key`, `headers`, `fill` (length of a text to add) and `more` (members of the body).
import { readFileSync } from "node:fs";

const { API_KEY, BASE_URL, SDK } = process.env;
const { default: Client } = await import(SDK === "openai" ? "openai" : "@anthropic-ai/sdk");

function send(one) {
  const client = new Client({
    baseURL: one.base_url ?? BASE_URL,
    apiKey: one.api_key ?? API_KEY,
    defaultHeaders: one.headers,
    maxRetries: 0,
  });
  const content = one.text + "a".repeat(one.fill ?? 0);
  const request = { model: one.model, messages: [{ role: "user", content }], ...one.more };
  if (SDK === "openai") return client.chat.completions.create(request);
  return client.messages.create({ max_tokens: 100, ...request });
}

const told = [];
for (const one of JSON.parse(readFileSync(0, "utf8"))) {
  let seen = { type: null };
  try {
    await send(one);
  } catch (caught) {
    const error = SDK === "openai" ? caught.error : caught.error.error;
    seen = {
      type: caught.constructor.name,
      status: caught.status,
      kind: error.type,
      code: error.code,
      param: error.param,
      header: caught.headers.get("x-request-id"),
      retry_after: caught.headers.get("retry-after"),
      is_server_error: caught instanceof Client.InternalServerError,
    };
  }
  told.push({ name: one.name, ...seen });
}
console.log(JSON.stringify(told));
