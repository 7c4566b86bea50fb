// The calls into the runtime that every request makes, gathered so that each is one crossing from WebAssembly instead
// of a dozen. No decision is made here.

// Method, URL, country, colo, continent, ASN, TLS version, bot score, verified bot category, JA4, then the header fields as
// `name,value`: a line each. None of them holds a line break.
export function facts(request) {
  const cf = request.cf;
  const bot = cf?.botManagement;
  return [
    request.method,
    request.url,
    cf?.country ?? "",
    cf?.colo ?? "",
    cf?.continent ?? "",
    cf?.asn ?? "",
    cf?.tlsVersion ?? "",
    bot?.score ?? "",
    cf?.verifiedBotCategory ?? "",
    bot?.ja4 ?? "",
    ...request.headers,
  ].join("\n");
}

// Fetches `url` with the head of `original` but for `remove` and `set`, lists of names and of `name,value` lines.
// Resolves with an exchange: the answer, what the edge reads of its head as lines (status, server-timing, health, its
// signature, refusal), and its body: a stream, or what was read of it where it is at most `whole` bytes long, or why that
// broke off. With undefined when there is no head within `patience` milliseconds (a short body has as long to come), with
// null when the client has left.
//
// `client`, the client's signal, is given where something holds the request after its client has left; then it ends the
// fetch, and so does the end of patience. Otherwise the runtime drops the fetch with the request, which costs less.
export async function forward(original, url, remove, set, body, patience, client, whole) {
  const late = client === undefined ? undefined : new AbortController();
  const signal = client === undefined ? undefined : AbortSignal.any([client, late.signal]);
  const headers = new Headers(original.headers);
  if (remove !== "") for (const name of remove.split("\n")) headers.delete(name);
  for (const [name, value] of pairs(set)) headers.set(name, value);
  let timer;
  const patienceEnds = new Promise((resolve) => {
    timer = setTimeout(resolve, patience);
  });
  try {
    const fetched = fetch(url, { method: original.method, headers, body, redirect: "manual", signal });
    const answer = await Promise.race([fetched, patienceEnds]);
    if (answer === undefined) {
      late?.abort();
      return undefined;
    }
    const said = answer.headers;
    const head = headLines(answer);
    // Not a backend's, but Cloudflare's word on it; a body that nobody reads would hold the connection.
    if (answer.status >= 520 && !said.has("server-timing")) {
      await answer.body?.cancel();
      return { answer, head, body: null };
    }
    const length = Number(said.get("content-length") ?? Infinity);
    if (length > whole || answer.body === null || said.has("content-encoding")) return { answer, head, body: answer.body };
    try {
      const read = await Promise.race([answer.arrayBuffer(), patienceEnds]);
      if (read !== undefined) return { answer, head, body: read, isWhole: true };
      late?.abort();
      return { answer, head, broken: "it did not end in time" };
    } catch (error) {
      if (client?.aborted) return null;
      return { answer, head, broken: error.message };
    }
  } catch (error) {
    if (client?.aborted) return null;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

// A variable as text, undefined for a binding of another kind.
export function variable(env, name) {
  const value = env[name];
  return ["string", "number", "boolean"].includes(typeof value) ? String(value) : undefined;
}

function headLines({ status, headers }) {
  // What is not signed is not looked at; who is refused is told so by one status.
  const signature = headers.get("x-goblin-health-signature") ?? "";
  const health = signature === "" ? "" : (headers.get("x-goblin-health") ?? "");
  const refusal = status === 403 ? (headers.get("x-goblin-refusal") ?? "") : "";
  return `${status}\n${headers.get("server-timing") ?? ""}\n${health}\n${signature}\n${refusal}`;
}

// Gets `url` with the fields of `set`, for the head of its answer only: the same lines as those of an exchange.
export async function probe(url, set, patience) {
  const answer = await fetch(url, { headers: pairs(set), redirect: "manual", signal: AbortSignal.timeout(patience) });
  // A body that nobody reads would hold the connection.
  await answer.body?.cancel();
  return headLines(answer);
}

// `name,value` lines as Fetch takes them.
function pairs(lines) {
  return lines.split("\n").map((line) => {
    const comma = line.indexOf(",");
    return [line.slice(0, comma), line.slice(comma + 1)];
  });
}

// Nothing here is a page, and nothing that is said is anything but what it is called.
const POLICY = "default-src 'none'; frame-ancestors 'none'";
function secure(headers, isHttps) {
  headers.set("x-content-type-options", "nosniff");
  headers.set("content-security-policy", POLICY);
  if (isHttps) headers.set("strict-transport-security", "max-age=31536000");
}

// The answer of an exchange with `body` and a head that may be changed: without what is the edge's alone, with two
// fields set, and `more` added: `name,value` lines.
export function adopt({ answer: fetched }, body, requestId, serverTiming, more, isHttps) {
  const answer = new Response(body, fetched);
  const { headers } = answer;
  headers.delete("x-goblin-health");
  headers.delete("x-goblin-health-signature");
  headers.delete("x-goblin-refusal");
  headers.set("x-request-id", requestId);
  headers.set("server-timing", serverTiming);
  secure(headers, isHttps);
  if (more !== "") {
    for (const [name, value] of pairs(more)) {
      // Browsers take one value of these; the others are lists, to which the backend may have added its own.
      if (name.startsWith("access-control-")) headers.set(name, value);
      else headers.append(name, value);
    }
  }
  return answer;
}

// An answer of the edge's own, with the fields of `lines`.
export function own(status, body, lines, isHttps) {
  const headers = new Headers(lines === "" ? undefined : pairs(lines));
  secure(headers, isHttps);
  return new Response(body, { status, headers });
}

// Counts a request of `key` by the rate limit binding; whether it may go on.
export async function addressAllows(env, key) {
  return (await env.ADDRESS_LIMIT.limit({ key })).success;
}

// Takes one request from the quota of an API key. Resolves with what its object says, with undefined when that takes
// longer than `patience` milliseconds; the object then counts it all the same.
export async function takeOfKey(env, keyId, patience) {
  const answer = await within(patience, env.KEY_LIMITS.getByName(keyId).fetch("http://key-limit/"));
  return answer === undefined ? undefined : (answer.headers.get("x-standing") ?? `status ${answer.status}`);
}

// What a promise resolves with; undefined when it has not within `patience` milliseconds.
async function within(patience, promise) {
  let timer;
  const patienceEnds = new Promise((resolve) => {
    timer = setTimeout(resolve, patience);
  });
  try {
    return await Promise.race([promise, patienceEnds]);
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
  const bytes = await upTo(limit, answer.body);
  return [answer.status, answer.headers.get("content-type"), answer.headers.get("cache-control"), bytes];
}

async function upTo(limit, body) {
  const chunks = [];
  let length = 0;
  for await (const chunk of body ?? []) {
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
  return bytes;
}

// Whether an Ed25519 signature of a text is right.
export async function verifies(key, message, signature) {
  const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, new TextEncoder().encode(message));
}

// What KV holds under `key`, as text; null for nothing. Undefined when it does not say so within `patience` milliseconds.
export async function stored(env, binding, key, patience) {
  return within(patience, env[binding].get(key, "text"));
}

// Posts telemetry, compressed if so wished. Resolves with an array of status, `retry-after` and at most `limit` bytes of
// the answer.
export async function post(url, fields, body, isGzip, patience, limit) {
  const headers = pairs(fields);
  if (isGzip) {
    headers.push(["content-encoding", "gzip"]);
    const packed = new Response(body).body.pipeThrough(new CompressionStream("gzip"));
    body = await new Response(packed).arrayBuffer();
  }
  const signal = AbortSignal.timeout(patience);
  const answer = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal });
  return [answer.status, answer.headers.get("retry-after"), await upTo(limit, answer.body)];
}

// Has the runtime go on with a request after its client has left; until the function that is returned is called.
export function hold(context) {
  let release;
  context.waitUntil(
    new Promise((resolve) => {
      release = resolve;
    }),
  );
  return release;
}

export function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
