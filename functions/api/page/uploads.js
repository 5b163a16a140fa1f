// Files: upload with progress, add to a vector store, wait until searchable, and a row on the page for each.
import { ApiError, authorization, call, errorFrom, poll, unreachable, url } from "./api.js";

/** Above this many bytes a file goes to object storage by a presigned URL: a function's request body is limited. */
export const DIRECT_LIMIT = 4 * 1024 * 1024;

/** Sends a body with progress (fetch has none for uploads); resolves with the answer's text. */
function transfer({ method, address, headers, body, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, address);
    for (const [name, value] of Object.entries(headers)) {
      if (!/^(host|content-length)$/i.test(name)) request.setRequestHeader(name, value); // The browser sets those.
    }
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 1);
    request.upload.onload = () => onProgress(1);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(request.responseText);
      else reject(errorFrom(request.status, request.responseText));
    };
    request.onerror = () => reject(unreachable());
    request.send(body);
  });
}

/** Uploads one file and returns its id. `onProgress` is told the share sent, 0 to 1. */
export async function uploadFile(file, onProgress) {
  if (file.size <= DIRECT_LIMIT) {
    const body = new FormData();
    body.append("purpose", "assistants");
    body.append("file", file, file.name);
    const target = { method: "POST", address: url("files"), headers: authorization() };
    return JSON.parse(await transfer({ ...target, body, onProgress })).id;
  }
  const json = { filename: file.name, purpose: "assistants", bytes: file.size };
  if (file.type) json.media_type = file.type;
  const created = await call("files", { method: "POST", json });
  const { method, url: address, headers } = created.weir.upload;
  await transfer({ method, address, headers: headers ?? {}, body: file, onProgress });
  return created.id;
}

/** Waits until the file can be searched. Throws ApiError with the reason when its ingestion fails. */
export const waitUntilSearchable = (vectorStoreId, fileId) =>
  poll(`vector_stores/${vectorStoreId}/files/${fileId}`, ({ status, last_error: reason }) => {
    if (status === "failed") throw new ApiError(reason?.message || "The document could not be read.", 422);
    if (status === "cancelled") throw new ApiError("Reading this document was cancelled.", 422);
    return status === "completed";
  });

/** A row of the list of uploads: name, progress bar, state in words. */
class UploadRow {
  constructor(list, file) {
    this.row = document.getElementById("upload-row").content.cloneNode(true).firstElementChild;
    this.name = this.row.querySelector(".name");
    this.bar = this.row.querySelector("progress");
    this.state = this.row.querySelector(".state");
    this.name.textContent = file.name;
    this.name.title = file.name;
    this.bar.setAttribute("aria-label", `Upload of ${file.name}`);
    this.show("waiting", "Waiting");
    list.prepend(this.row);
  }

  show(state, words) {
    this.row.dataset.state = state;
    this.state.textContent = words;
    this.bar.hidden = state !== "uploading" && state !== "reading";
  }

  progress(share) {
    this.bar.value = share;
    this.show("uploading", `Uploading, ${Math.floor(share * 100)} %`);
  }

  reading() {
    this.bar.removeAttribute("value"); // How long it takes is not known.
    this.show("reading", "Reading…");
  }
}

/** The uploads of this visit. Files are sent one after another; the server reads them side by side. */
export class Uploads {
  #queue = Promise.resolve();

  /** `announce` speaks to screen readers; `onReady` is called when a file can be asked. */
  constructor(list, { announce, onReady }) {
    Object.assign(this, { list, announce, onReady });
  }

  /** Uploads files into a vector store; each row says how far it is, or why it failed. */
  add(files, vectorStoreId) {
    for (const file of files) {
      const row = new UploadRow(this.list, file);
      this.#queue = this.#queue.then(() => this.#send(file, vectorStoreId, row));
    }
  }

  async #send(file, vectorStoreId, row) {
    try {
      if (file.size === 0) throw new ApiError("This file is empty.");
      row.progress(0);
      const fileId = await uploadFile(file, (share) => row.progress(share));
      await call(`vector_stores/${vectorStoreId}/files`, { method: "POST", json: { file_id: fileId } });
      row.reading();
      this.#watch(file, vectorStoreId, fileId, row);
    } catch (error) {
      this.#fail(file, row, error);
    }
  }

  async #watch(file, vectorStoreId, fileId, row) {
    try {
      await waitUntilSearchable(vectorStoreId, fileId);
      row.show("ready", "Ready");
      this.announce(`${file.name} is ready.`);
      this.onReady();
    } catch (error) {
      this.#fail(file, row, error);
    }
  }

  #fail(file, row, error) {
    row.show("failed", error.message);
    this.announce(`${file.name} failed: ${error.message}`);
  }
}
