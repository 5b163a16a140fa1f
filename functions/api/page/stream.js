// A streamed answer: bytes -> lines -> server-sent events -> pieces of the answer.
import { ApiError, send } from "./api.js";

/** Lines of a byte stream, ended by LF, CR or CRLF; a last line without an end is incomplete and left out. */
async function* readLines(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      // A CR at the very end may be the first half of a CRLF: it waits for the next chunk.
      const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop();
      yield* lines;
    }
    if (rest.endsWith("\r")) yield rest.slice(0, -1);
  } finally {
    await reader.cancel().catch(() => {}); // The reader leaves early or the stream broke: nothing more to do.
  }
}

/** The data of each event (https://html.spec.whatwg.org/#event-stream-interpretation); comments are skipped. */
export async function* readEvents(body) {
  let data = [];
  for await (const line of readLines(body)) {
    if (line === "") {
      if (data.length) yield data.join("\n");
      data = [];
    } else if (line.startsWith("data:")) {
      data.push(line.slice(line[5] === " " ? 6 : 5));
    }
  }
  if (data.length) yield data.join("\n");
}

/**
 * Asks for an answer and yields its pieces as they come:
 * `{ content?, reasoning?, annotations?, support?, finish? }`, each only when present.
 * Throws ApiError when the server refuses, reports an error in mid-stream, or the stream ends too early.
 */
export async function* streamAnswer({ model, messages, vectorStoreIds, signal }) {
  const json = { model, messages, stream: true };
  if (vectorStoreIds.length) json.weir = { knowledge: { vector_store_ids: vectorStoreIds } };
  const response = await send("chat/completions", { method: "POST", json, signal });
  try {
    for await (const data of readEvents(response.body)) {
      if (data === "[DONE]") return;
      yield readPiece(JSON.parse(data));
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof ApiError) throw error;
  }
  throw new ApiError("The connection broke before the answer was complete.");
}

/** What a chunk of an answer adds to it. */
export function readPiece(event) {
  if (event.error) throw new ApiError(event.error.message || "The model failed in the middle of its answer.");
  const choice = event.choices?.[0];
  const piece = {};
  if (choice?.delta?.content) piece.content = choice.delta.content;
  if (choice?.delta?.reasoning_content) piece.reasoning = choice.delta.reasoning_content;
  if (choice?.delta?.annotations?.length) piece.annotations = choice.delta.annotations;
  if (choice?.delta?.weir?.support) piece.support = choice.delta.weir.support;
  if (choice?.finish_reason) piece.finish = choice.finish_reason;
  return piece;
}
