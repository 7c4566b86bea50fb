// The calls into the runtime that every request makes, gathered so that each is one crossing from WebAssembly instead
// of a dozen. No decision is made here.

// Method, URL, country, colo, ASN, TLS version, bot score, verified bot category, JA4, then the header fields as
// `name,value`: a line each. None of them holds a line break.
export function facts(request) {
  const cf = request.cf;
  const bot = cf?.botManagement;
  return [
    request.method,
    request.url,
    cf?.country ?? "",
    cf?.colo ?? "",
    cf?.asn ?? "",
    cf?.tlsVersion ?? "",
    bot?.score ?? "",
    cf?.verifiedBotCategory ?? "",
    bot?.ja4 ?? "",
    ...request.headers,
  ].join("\n");
}

// Fetches `url` with the head of `original` but for `remove` and `set`, lists of names and of `name,value` lines.
// Resolves with the answer's head, with undefined when there is none within `patience` milliseconds, with null when the
// client has left before.
//
// `client`, the client's signal, is given where something holds the request after its client has left; then it ends the
// fetch, and so does the end of patience. Otherwise the runtime drops the fetch with the request, which costs less.
export async function forward(original, url, remove, set, body, patience, client) {
  const late = client === undefined ? undefined : new AbortController();
  const request = new Request(url, {
    method: original.method,
    headers: original.headers,
    body,
    redirect: "manual",
    signal: client === undefined ? undefined : AbortSignal.any([client, late.signal]),
  });
  const { headers } = request;
  if (remove !== "") for (const name of remove.split("\n")) headers.delete(name);
  for (const line of set.split("\n")) {
    const comma = line.indexOf(",");
    headers.set(line.slice(0, comma), line.slice(comma + 1));
  }
  let timer;
  const patienceEnds = new Promise((resolve) => {
    timer = setTimeout(resolve, patience);
  });
  try {
    const answer = await Promise.race([fetch(request), patienceEnds]);
    if (answer === undefined) late?.abort();
    return answer;
  } catch (error) {
    if (client?.aborted) return null;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

// The same answer with a head that may be changed, two fields set, and `more` added: `name,value` lines.
export function adopt(fetched, requestId, serverTiming, more) {
  const answer = new Response(fetched.body, fetched);
  answer.headers.set("x-request-id", requestId);
  answer.headers.set("server-timing", serverTiming);
  if (more !== "") {
    for (const line of more.split("\n")) {
      const comma = line.indexOf(",");
      const name = line.slice(0, comma);
      // Browsers take one value of these; the others are lists, to which the backend may have added its own.
      if (name.startsWith("access-control-")) answer.headers.set(name, line.slice(comma + 1));
      else answer.headers.append(name, line.slice(comma + 1));
    }
  }
  return answer;
}

// Counts a request of `key` by the rate limit binding; whether it may go on.
export async function addressAllows(env, key) {
  return (await env.ADDRESS_LIMIT.limit({ key })).success;
}

// Takes one request from the quota of an API key. Resolves with what its object says, with undefined when that takes
// longer than `patience` milliseconds; the object then counts it all the same.
export async function takeOfKey(env, keyId, patience) {
  let timer;
  const patienceEnds = new Promise((resolve) => {
    timer = setTimeout(resolve, patience);
  });
  try {
    const answer = await Promise.race([env.KEY_LIMITS.getByName(keyId).fetch("http://key-limit/"), patienceEnds]);
    return answer === undefined ? undefined : (answer.headers.get("x-standing") ?? `status ${answer.status}`);
  } finally {
    clearTimeout(timer);
  }
}

// Fetches at most `limit` bytes within `patience` milliseconds, by POST of JSON when there is a body. Resolves with
// status, content type, cache control and bytes.
export async function ask(url, accept, body, patience, limit) {
  const headers = { accept };
  if (body !== undefined) headers["content-type"] = "application/json";
  const answer = await fetch(url, {
    method: body === undefined ? "GET" : "POST",
    headers,
    body,
    redirect: "manual",
    signal: AbortSignal.timeout(patience),
  });
  const chunks = [];
  let length = 0;
  for await (const chunk of answer.body ?? []) {
    length += chunk.length;
    if (length > limit) throw new Error(`the answer is longer than ${limit} bytes`);
    chunks.push(chunk);
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return [answer.status, answer.headers.get("content-type"), answer.headers.get("cache-control"), bytes];
}

// Whether an Ed25519 signature of a text is right.
export async function verifies(key, message, signature) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, new TextEncoder().encode(message));
}

export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
