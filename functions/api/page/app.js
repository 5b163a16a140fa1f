// Starts the page.
import { savedKey, takeKeyFromAddress } from "./api.js";
import { setUpChat } from "./chat.js";
import { loadModels, loadStores, setUpLibrary } from "./library.js";
import { loadScrapes } from "./scrapes.js";
import { askForKey, byId, setUpKey, showProblem } from "./notices.js";

async function load() {
  showProblem(null);
  if (!savedKey()) return askForKey();
  return Promise.all([loadModels(), loadStores(), loadScrapes()]).catch(showProblem);
}

function setUpMenu() {
  byId("menu").addEventListener("click", () => {
    const open = byId("panel").toggleAttribute("data-open");
    byId("menu").setAttribute("aria-expanded", String(open));
  });
}

setUpKey(load);
setUpLibrary();
setUpChat();
setUpMenu();
takeKeyFromAddress();
load();
