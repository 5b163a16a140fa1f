// The chat: the messages of this visit, and the one answer that may be under way.
import { ApiError, savedKey } from "./api.js";
import { AnswerView, showQuestion } from "./conversation.js";
import { announce, askForKey, byId, explain, showProblem } from "./notices.js";
import { socketAnswer } from "./socket.js";
import { streamAnswer } from "./stream.js";

const TRANSPORT = "weir.transport";

let messages = [];
let underway = null; // AbortController of the answer that streams now

const overSocket = () => localStorage.getItem(TRANSPORT) === "socket";

function setUnderway(controller) {
  const [shown, hidden] = controller ? [byId("stop"), byId("send")] : [byId("send"), byId("stop")];
  const hadFocus = document.activeElement === hidden;
  underway = controller;
  shown.hidden = false;
  hidden.hidden = true;
  if (hadFocus) shown.focus(); // What is hidden loses the focus to nowhere.
}

async function answer() {
  const controller = new AbortController();
  const conversation = messages;
  const view = new AnswerView(byId("log"));
  const store = byId("store").value;
  setUnderway(controller);
  announce("Answering…");
  try {
    const request = { model: byId("model").value, messages, vectorStoreIds: store ? [store] : [] };
    const stream = overSocket() ? socketAnswer : streamAnswer;
    for await (const piece of stream({ ...request, signal: controller.signal })) view.add(piece);
    view.finish();
    announce("The answer is complete.");
  } catch (error) {
    endEarly(error, view, conversation);
  }
  if (view.text) conversation.push({ role: "assistant", content: view.text });
  if (underway === controller) setUnderway(null);
}

function endEarly(error, view, conversation) {
  if (error.name === "AbortError") {
    view.stop();
    announce("Stopped.");
    return;
  }
  announce("The answer failed.");
  view.fail(explain(error), () => {
    if (underway || conversation !== messages) return;
    view.remove();
    if (messages.at(-1).role === "assistant") messages.pop();
    byId("question").focus();
    answer();
  });
}

function ask() {
  const question = byId("question").value.trim();
  if (!question || underway) return;
  if (!savedKey()) return askForKey();
  if (!byId("model").value) return showProblem(new ApiError("There is no model to ask. Check the key, then reload."));
  showProblem(null);
  byId("question").value = "";
  messages.push({ role: "user", content: question });
  showQuestion(byId("log"), question);
  answer();
}

function startAfresh() {
  underway?.abort();
  setUnderway(null);
  messages = [];
  byId("log").replaceChildren();
  byId("question").focus();
}

function setUpTransport() {
  const choice = byId("transport");
  choice.checked = overSocket();
  choice.addEventListener("change", () => localStorage.setItem(TRANSPORT, choice.checked ? "socket" : "http"));
}

/** Wires the composer, the keys that send and stop, and the button for a new chat. */
export function setUpChat() {
  setUpTransport();
  byId("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  byId("question").addEventListener("keydown", (event) => {
    // An input method (Chinese, Japanese) uses Enter to take a word: that Enter does not send.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    ask();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) underway?.abort();
  });
  byId("stop").addEventListener("click", () => underway?.abort());
  byId("new-chat").addEventListener("click", startAfresh);
}
