// Scrapes: how far they are, what became of each page, and a way to stop them.
import { call, poll } from "./api.js";
import { announce, byId, showProblem } from "./notices.js";

const ENDED = ["completed", "failed", "cancelled"];
const PAGES = ["completed", "running", "queued", "skipped", "failed"];

/** "3 completed, 1 failed", of the states that any page is in. */
const inWords = (counts) => PAGES.filter((state) => counts[state]).map((state) => `${counts[state]} ${state}`).join(", ");

/** A row of the list of scrapes. */
class ScrapeRow {
  constructor({ id, url }) {
    this.path = `scrapes/${id}`;
    this.url = url;
    this.row = byId("scrape-row").content.cloneNode(true).firstElementChild;
    const [name, ...parts] = this.row.querySelectorAll(".name, .state, progress, button, ul");
    [this.stop, this.state, this.bar, this.pages] = parts;
    name.textContent = name.title = url;
    this.bar.setAttribute("aria-label", `Scrape of ${url}`);
    this.stop.setAttribute("aria-label", `Cancel ${url}`);
    this.stop.addEventListener("click", () => {
      call(`${this.path}/cancel`, { method: "POST" }).catch(showProblem);
    });
    byId("scrapes").prepend(this.row);
  }

  /** Shows it until it has ended. */
  async watch() {
    try {
      const { status } = await poll(`${this.path}?limit=200`, (scrape) => this.#show(scrape));
      announce(`Scrape of ${this.url}: ${status}.`);
    } catch (error) {
      this.#show({ status: "failed", error: error.message, page_counts: {}, pages: { data: [] } });
    }
  }

  #show({ status, error, page_counts: counts, pages }) {
    const ended = ENDED.includes(status);
    this.row.dataset.state = status === "completed" ? "ready" : status;
    this.state.textContent = [status, error, inWords(counts)].filter(Boolean).join(": ");
    this.bar.value = counts.total ? 1 - (counts.queued + counts.running) / counts.total : 0;
    this.bar.hidden = this.stop.hidden = ended;
    this.pages.replaceChildren(...pages.data.map(pageItem), pages.has_more ? "…" : "");
    return ended && !counts.running;
  }
}

function pageItem({ url, status, reason }) {
  const item = document.createElement("li");
  item.textContent = [url, status, reason].filter(Boolean).join(": ");
  return item;
}

/** Shows the scrapes that are under way. */
export async function loadScrapes() {
  byId("scrapes").replaceChildren();
  const { data } = await call("scrapes?limit=20");
  data.filter(({ status }) => !ENDED.includes(status)).reverse().forEach((scrape) => new ScrapeRow(scrape).watch());
}

/** Wires the form: `storeFor` gives the vector store for pages, `onEnd` is called when they are read. */
export function setUpScrapes({ storeFor, onEnd }) {
  byId("scrape-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    showProblem(null);
    try {
      const [url, depth] = [byId("scrape-url").value, Number(byId("scrape-depth").value)];
      const json = { url, depth, vector_store_id: await storeFor() };
      const row = new ScrapeRow(await call("scrapes", { method: "POST", json }));
      event.target.reset();
      await row.watch();
      onEnd();
    } catch (error) {
      showProblem(error);
    }
  });
}
