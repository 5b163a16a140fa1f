// What the page says outside the conversation: status for screen readers, problems, and the dialog for the key.
import { ApiError, forgetKey, savedKey, saveKey, takeKeyFromAddress } from "./api.js";

export const byId = (id) => document.getElementById(id);

/** Tells screen readers what happens now. */
export function announce(words) {
  byId("status").textContent = words;
}

/** Words for an error; a refused key also opens the dialog that asks for another. */
export function explain(error) {
  if (error instanceof ApiError) {
    if (error.status === 401) askForKey(error.message);
    return error.message;
  }
  console.error(error);
  return "Something went wrong in this page. Reload it and try again.";
}

/** Shows a problem above the composer; null takes it away. */
export function showProblem(error) {
  byId("problem").textContent = error ? explain(error) : "";
  byId("problem").hidden = !error;
}

/** Opens the dialog for the API key. */
export function askForKey(reason = "") {
  byId("key-reason").textContent = reason;
  byId("key-reason").hidden = !reason;
  byId("key").value = savedKey();
  byId("forget-key").hidden = !savedKey();
  if (!byId("key-dialog").open) byId("key-dialog").showModal();
}

/** Wires the dialog and the address; `onChange` is called when there is another key. */
export function setUpKey(onChange) {
  byId("key-button").addEventListener("click", () => askForKey());
  byId("key-cancel").addEventListener("click", () => byId("key-dialog").close());
  byId("key-form").addEventListener("submit", () => {
    saveKey(byId("key").value.trim());
    onChange();
  });
  byId("forget-key").addEventListener("click", () => {
    forgetKey();
    byId("key").value = "";
    byId("forget-key").hidden = true;
    byId("key").focus();
  });
  addEventListener("hashchange", () => takeKeyFromAddress() && onChange());
}
