// The conversation on the page: a turn of the reader, and an answer that grows.
import { markCitations, openSource, readSources } from "./citations.js";
import { MarkdownView } from "./markdown.js";

const UNFINISHED = {
  length: "The answer reached its length limit.",
  content_filter: "The provider's content filter ended this answer.",
};

const UNSUPPORTED = {
  unsupported: "Your documents do not bear this answer out.",
  partly_supported: "Your documents bear out only a part of this answer.",
};

const fromTemplate = (id) => document.getElementById(id).content.cloneNode(true).firstElementChild;

/** Shows a question. */
export function showQuestion(log, text) {
  const turn = fromTemplate("question-turn");
  turn.querySelector(".text").textContent = text;
  log.append(turn);
}

/** An answer: `add` takes the pieces of a stream; `finish` or `fail` ends it. `text` is what came so far. */
export class AnswerView {
  text = "";
  #reasoning = "";
  #annotations = [];
  #finish = "";
  #support = "";
  #frame = 0;

  constructor(log) {
    this.log = log;
    this.turn = fromTemplate("answer-turn");
    this.markdown = new MarkdownView(this.#part("text"));
    log.append(this.turn);
    this.#follow();
  }

  add({ content = "", reasoning = "", annotations = [], support = "", finish = "" }) {
    this.text += content;
    this.#reasoning += reasoning;
    this.#annotations.push(...annotations);
    this.#finish = finish || this.#finish;
    this.#support = support || this.#support;
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  finish() {
    this.#end(UNFINISHED[this.#finish] ?? UNSUPPORTED[this.#support] ?? "");
    if (!this.text && !this.#reasoning) this.#note("The model gave an empty answer.");
  }

  stop() {
    this.#end("Stopped.");
  }

  /** Shows what went wrong in words, and a button to ask again. */
  fail(message, retry) {
    this.#end("");
    this.#part("error").hidden = false;
    this.#part("reason").textContent = message;
    this.#part("retry").addEventListener("click", retry, { once: true });
    this.#follow();
  }

  remove() {
    this.turn.remove();
  }

  #part(name) {
    return this.turn.querySelector(`[data-part="${name}"]`);
  }

  #draw() {
    this.#frame = 0;
    const follow = isAtEnd(this.log);
    this.markdown.update(this.text);
    this.#part("reasoning").hidden = !this.#reasoning;
    this.#part("reasoning-text").textContent = this.#reasoning;
    if (follow) this.#follow();
  }

  #end(note) {
    const follow = isAtEnd(this.log);
    cancelAnimationFrame(this.#frame);
    this.#draw();
    const sources = readSources(this.#annotations);
    if (sources.length) this.#showSources(sources);
    this.#note(note);
    this.turn.removeAttribute("data-growing");
    this.turn.setAttribute("aria-busy", "false");
    if (follow) this.#follow();
  }

  #note(note) {
    this.#part("note").textContent = note;
    this.#part("note").hidden = !note;
  }

  #showSources(sources) {
    const button = (source, number) => {
      const mark = fromTemplate("citation-mark");
      mark.textContent = number;
      mark.setAttribute("aria-label", `Source ${number}: ${source.title}`);
      mark.addEventListener("click", () => openSource(source));
      return mark;
    };
    const inText = (number) => (sources[number - 1] ? button(sources[number - 1], number) : null);
    this.markdown.update(markCitations(this.text, sources), inText);
    this.#part("source-list").replaceChildren(...sources.map(sourceItem));
    this.#part("sources").hidden = false;
  }

  #follow() {
    this.log.scrollTop = this.log.scrollHeight;
  }
}

const isAtEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < 80;

function sourceItem(source) {
  const item = fromTemplate("source-item");
  const fill = (name, text) => {
    item.querySelector(`.${name}`).textContent = text;
    item.querySelector(`.${name}`).hidden = !text;
  };
  fill("title", source.title);
  fill("place", source.place);
  fill("quote", source.quote);
  item.querySelector("button").addEventListener("click", () => openSource(source));
  return item;
}
