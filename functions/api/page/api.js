// The way to the server: where it is, the key, JSON calls, and errors in plain words.

/** `<base>/v1/`, wherever the page is served: at `/` or under a stage such as `/prod/`. */
const BASE = new URL("../v1/", import.meta.url);
const KEY = "weir.key";

/** A failure to show to the reader. `status` is 0 when no answer came. */
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

export const url = (path) => new URL(path, BASE).href;
export const savedKey = () => localStorage.getItem(KEY) ?? "";
export const saveKey = (key) => localStorage.setItem(KEY, key);
export const forgetKey = () => localStorage.removeItem(KEY);
export const authorization = () => ({ Authorization: `Bearer ${savedKey()}` });

/** Keeps a key given as `#key=...` and takes it out of the address and the history. True when there was one. */
export function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return false;
  saveKey(key);
  history.replaceState(null, "", location.pathname + location.search);
  return true;
}

/** The error for an answer that is not 2xx, from OpenAI's error object where there is one. */
export function errorFrom(status, bodyText) {
  let message = "";
  try {
    message = JSON.parse(bodyText).error.message;
  } catch {
    // A gateway or proxy answered in its own words; the status says more to the reader.
  }
  return new ApiError(message || `The server could not do this (status ${status}).`, status);
}

export const unreachable = () =>
  new ApiError("The server cannot be reached. Check that it is running and that you are connected.");

/** Sends a request and returns the `Response` when it is 2xx; an abort passes through as `AbortError`. */
export async function send(path, { method = "GET", json, signal } = {}) {
  const headers = authorization();
  if (json !== undefined) headers["Content-Type"] = "application/json";
  const body = json === undefined ? undefined : JSON.stringify(json);
  const response = await fetch(url(path), { method, headers, body, signal }).catch((error) => {
    throw error.name === "AbortError" ? error : unreachable();
  });
  if (!response.ok) throw errorFrom(response.status, await response.text());
  return response;
}

/** Sends a request and returns the parsed JSON answer. */
export const call = async (path, options) => (await send(path, options)).json();

/** Asks until `look` is content with the answer, and returns it; gives a server that restarts some time. */
export async function poll(path, look) {
  let faults = 0;
  for (let delay = 200; ; delay = Math.min(delay * 1.4, 3000)) {
    try {
      const answer = await call(path);
      faults = 0;
      if (look(answer)) return answer;
    } catch (error) {
      faults += 1;
      if (faults > 5 || (error.status > 0 && error.status < 500)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}

/** All items of a paged list, newest first as the server gives them. */
export async function listAll(path) {
  const items = [];
  for (let after = ""; ; ) {
    const page = await call(`${path}?limit=100${after}`);
    items.push(...page.data);
    if (!page.has_more || !page.last_id) return items;
    after = `&after=${encodeURIComponent(page.last_id)}`;
  }
}
