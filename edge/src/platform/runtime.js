// The calls into the runtime that every request makes, gathered so that each is one crossing from WebAssembly instead
// of a dozen. No decision is made here.

// Method, URL, country, colo, then the header fields as `name,value`: a line each. None of them holds a line break.
export function facts(request) {
  const cf = request.cf;
  return [request.method, request.url, cf?.country ?? "", cf?.colo ?? "", ...request.headers].join("\n");
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

// The same answer with a head that may be changed, and two fields set.
export function adopt(fetched, requestId, serverTiming) {
  const answer = new Response(fetched.body, fetched);
  answer.headers.set("x-request-id", requestId);
  answer.headers.set("server-timing", serverTiming);
  return answer;
}
