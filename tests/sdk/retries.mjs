// A user's program with an official SDK for Node (`SDK`: openai or anthropic) that may try once more.
const { API_KEY, BASE_URL, MARKER, MODEL, SDK } = process.env;
const { default: Client } = await import(SDK === "openai" ? "openai" : "@anthropic-ai/sdk");
const client = new Client({ baseURL: BASE_URL, apiKey: API_KEY, maxRetries: 1 });
const request = { model: MODEL, messages: [{ role: "user", content: `Hello (${MARKER})` }] };
const text =
  SDK === "openai"
    ? (await client.chat.completions.create(request)).choices[0].message.content
    : (await client.messages.create({ ...request, max_tokens: 100 })).content[0].text;
console.log(JSON.stringify({ text }));
