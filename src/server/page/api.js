// Talks to the server that the page came from.

const KEY = "fast-dllm.key";

/** The API key, which a browser forgets with the tab. */
export const apiKey = {
  get: () => sessionStorage.getItem(KEY) ?? "",
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

/** What the server refused, or what happened to the connection (status 0). */
export class ApiError extends Error {
  constructor(message, { status = 0, param = null, retryAfter = null } = {}) {
    super(message);
    this.status = status;
    this.param = param;
    this.retryAfter = retryAfter;
  }
}

function errorOf(body, details) {
  const error = body && typeof body.error === "object" && body.error !== null ? body.error : {};
  const message = typeof error.message === "string" && error.message !== "" ? error.message
    : `the server answered with status ${details.status}`;
  return new ApiError(message,
                      { ...details, param: typeof error.param === "string" ? error.param : null });
}

async function send(path, { body, signal } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (apiKey.get()) headers.Authorization = `Bearer ${apiKey.get()}`;
  let response;
  try {
    response = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("the server can't be reached; is fast-dllm serve still running?");
  }
  if (response.ok) return response;
  const parsed = await response.json().catch(() => null);
  throw errorOf(parsed, { status: response.status, retryAfter: response.headers.get("Retry-After") });
}

/** The first model that the server offers. */
export async function firstModel() {
  const list = await (await send("/v1/models")).json();
  const model = Array.isArray(list.data) ? list.data[0] : undefined;
  if (!model || typeof model.id !== "string") throw new ApiError("the server offers no model");
  return model;
}

/** What the server says of its requests: its /openapi.json. */
export async function apiDescription() {
  return (await send("/openapi.json")).json();
}

/** Cuts a stream of server-sent events into the data of its events. */
export class EventParser {
  #rest = "";

  /** The data of every event that `text` completes. */
  feed(text) {
    this.#rest += text;
    const events = this.#rest.split(/\r?\n\r?\n/);
    this.#rest = events.pop();
    return events
      .map((event) => event.split(/\r?\n/)
        .filter((line) => line.startsWith("data:"))
        .map((line) => line.slice(line.startsWith("data: ") ? 6 : 5))
        .join("\n"))
      .filter((data) => data !== "");
  }
}

/** Yields the JSON of each event until "[DONE]"; throws ApiError where the stream reports an error
 *  or ends without that word, and AbortError when `signal` says so. */
export async function* stream(path, body, signal) {
  const response = await send(path, { body, signal });
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      for (const data of parser.feed(decoder.decode(value, { stream: true }))) {
        if (data === "[DONE]") return;
        let parsed;
        try {
          parsed = JSON.parse(data);
        } catch {
          throw new ApiError("the server sent an event that is no JSON");
        }
        if (parsed.error) throw errorOf(parsed, { status: response.status });
        yield parsed;
      }
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof ApiError) throw error;
    throw new ApiError("the connection broke off before the answer was complete");
  } finally {
    reader.cancel().catch(() => {});
  }
  throw new ApiError("the connection ended before the answer was complete");
}
