// A streamed answer over a WebSocket: one connection for the visit, one turn for each answer (docs/websocket.md).
import { ApiError, call } from "./api.js";
import { readPiece } from "./stream.js";

let connecting = null; // Promise of the connection that is open, or about to be
let turns = 0;

/** A turn's frames in order; a frame that never comes is waited for until the connection closes. */
class Turn {
  #frames = [];
  #wake = () => {};

  put(frame) {
    this.#frames.push(frame);
    this.#wake();
  }

  async next() {
    while (!this.#frames.length) await new Promise((resolve) => (this.#wake = resolve));
    return this.#frames.shift();
  }
}

class Connection {
  #turns = new Map();

  constructor(socket) {
    this.socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const frame = JSON.parse(data);
      this.#turns.get(frame.id)?.put(frame);
    });
    socket.addEventListener("close", () => {
      connecting = null;
      const error = { message: "The connection broke before the answer was complete." };
      for (const turn of this.#turns.values()) turn.put({ type: "error", error });
    });
  }

  send(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  begin(body) {
    const id = `turn-${++turns}`;
    const turn = new Turn();
    this.#turns.set(id, turn);
    this.send({ type: "chat", id, body });
    return { id, turn };
  }

  end(id) {
    this.#turns.delete(id);
  }
}

async function connect() {
  const { ticket, url } = await call("tickets", { method: "POST" });
  const socket = new WebSocket(url, ["weir", `weir.ticket.${ticket}`]);
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("close", () => reject(new ApiError("The WebSocket cannot be opened.")));
  });
  return new Connection(socket);
}

function connected() {
  connecting ??= connect().catch((error) => {
    connecting = null;
    throw error;
  });
  return connecting;
}

/** As `streamAnswer` of stream.js, over the WebSocket. */
export async function* socketAnswer({ model, messages, vectorStoreIds, signal }) {
  const body = { model, messages };
  if (vectorStoreIds.length) body.weir = { knowledge: { vector_store_ids: vectorStoreIds } };
  const connection = await connected();
  const { id, turn } = connection.begin(body);
  const cancel = () => {
    connection.send({ type: "cancel", id });
    turn.put({ type: "aborted" });
  };
  signal.addEventListener("abort", cancel, { once: true });
  if (signal.aborted) cancel();
  try {
    yield* pieces(turn);
  } finally {
    signal.removeEventListener("abort", cancel);
    connection.end(id);
  }
}

async function* pieces(turn) {
  let large = "";
  for (;;) {
    const frame = await turn.next();
    if (frame.type === "aborted") throw new DOMException("Stopped.", "AbortError");
    if (frame.type === "error") throw new ApiError(frame.error.message);
    if (frame.type === "done") return;
    if (frame.type === "events") for (const { data } of frame.events) yield readPiece(data);
    if (frame.type === "fragment") {
      large += frame.text;
      if (!frame.last) continue;
      yield readPiece(JSON.parse(large));
      large = "";
    }
  }
}
