// What can be asked: the models, the vector stores, and the files that are added to them.
import { call, listAll } from "./api.js";
import { announce, byId, showProblem } from "./notices.js";
import { setUpScrapes } from "./scrapes.js";
import { Uploads } from "./uploads.js";

const MODEL = "weir.model";
const STORE = "weir.store";

let stores = [];

function fill(select, options, wanted) {
  select.replaceChildren(...options);
  if (options.some(({ value }) => value === wanted)) select.value = wanted;
}

/** Fills the model picker with the models that can chat. */
export async function loadModels() {
  const { data } = await call("models");
  const models = data.filter((model) => (model.weir?.kind ?? "chat") === "chat");
  const wanted = byId("model").value || localStorage.getItem(MODEL);
  fill(byId("model"), models.map(({ id }) => new Option(id)), wanted);
}

/** Fills the picker of vector stores, keeping the choice or taking the wanted one; on the first visit, the newest. */
export async function loadStores(wanted = byId("store").value || localStorage.getItem(STORE)) {
  stores = await listAll("vector_stores");
  wanted ??= stores[0]?.id;
  const options = stores.map(({ id, name }) => new Option(name || id, id));
  fill(byId("store"), [new Option("None: answer without documents", ""), ...options], wanted);
  keepStore();
}

function keepStore() {
  localStorage.setItem(STORE, byId("store").value);
  const store = stores.find(({ id }) => id === byId("store").value);
  const count = store?.file_counts?.completed ?? 0;
  byId("store-note").textContent = `${count} ${count === 1 ? "document" : "documents"} ready`;
  byId("store-note").hidden = !store;
}

/** The vector store for what is added: the chosen one, or a new one. */
const storeFor = async () => byId("store").value || createStore("My documents");

async function createStore(name) {
  const { id } = await call("vector_stores", { method: "POST", json: { name } });
  await loadStores(id);
  return id;
}

/** Wires the pickers, the dialog for a new store, and uploads by choice or by drop anywhere on the page. */
export function setUpLibrary() {
  byId("model").addEventListener("change", ({ target }) => localStorage.setItem(MODEL, target.value));
  byId("store").addEventListener("change", keepStore);
  byId("new-store").addEventListener("click", () => {
    byId("store-name").value = "";
    byId("store-dialog").showModal();
  });
  byId("store-cancel").addEventListener("click", () => byId("store-dialog").close());
  byId("store-form").addEventListener("submit", () => {
    createStore(byId("store-name").value.trim()).catch(showProblem);
  });
  const refresh = () => loadStores().catch(showProblem);
  setUpUploads(refresh);
  setUpScrapes({ storeFor, onEnd: refresh });
}

function setUpUploads(onReady) {
  const uploads = new Uploads(byId("uploads"), { announce, onReady });
  const add = async (files) => {
    if (!files.length) return;
    showProblem(null);
    try {
      uploads.add(files, await storeFor());
    } catch (error) {
      showProblem(error);
    }
  };
  byId("files").addEventListener("change", ({ target }) => {
    add([...target.files]);
    target.value = ""; // The same file may be chosen again.
  });
  acceptDrops(add);
}

function acceptDrops(add) {
  let depth = 0; // dragenter and dragleave come for every element under the pointer
  const setDepth = (value) => {
    depth = value;
    document.body.toggleAttribute("data-dragging", depth > 0);
  };
  const onFiles = (name, listener) =>
    addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      listener(event);
    });
  onFiles("dragenter", () => setDepth(depth + 1));
  onFiles("dragleave", () => setDepth(depth - 1));
  onFiles("dragover", () => {});
  onFiles("drop", (event) => {
    setDepth(0);
    add([...event.dataTransfer.files]);
  });
}
