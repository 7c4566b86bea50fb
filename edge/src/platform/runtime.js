// The calls into the runtime that every request makes, gathered so that each is one crossing from WebAssembly instead
// of a dozen. No decision is made here.

// Method, URL, country, colo, then the header fields as `name,value`: a line each. None of them holds a line break.
export function facts(request) {
  const cf = request.cf;
  return [request.method, request.url, cf?.country ?? "", cf?.colo ?? "", ...request.headers].join("\n");
}

// Fetches `url` with the head of `original` but for `remove` and `set`, lists of names and of `name,value` lines.
// Resolves with the answer's head, or with undefined when there is none within `patience` milliseconds.
export async function forward(original, url, remove, set, body, patience, signal) {
  const headers = new Headers(original.headers);
  if (remove !== "") for (const name of remove.split("\n")) headers.delete(name);
  for (const line of set.split("\n")) {
    const comma = line.indexOf(",");
    headers.set(line.slice(0, comma), line.slice(comma + 1));
  }
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), patience);
  try {
    return await fetch(url, {
      method: original.method,
      headers,
      body,
      redirect: "manual",
      signal: signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]),
    });
  } catch (error) {
    if (late.signal.aborted) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

// The same answer with a head that may be changed, and two fields set.
export function adopt(fetched, requestId, serverTiming) {
  const answer = new Response(fetched.body, fetched);
  answer.headers.set("x-request-id", requestId);
  answer.headers.set("server-timing", serverTiming);
  return answer;
}
