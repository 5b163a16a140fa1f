// Citations: the list of sources under an answer, and the dialog that shows the quoted place in its document.
import { call } from "./api.js";
import { citedAt } from "./markdown.js";

const dialog = document.getElementById("citation");
const part = (name) => dialog.querySelector(`[data-part="${name}"]`);

/** UTF-16 offset of the code point `count` in `text`. The API counts code points; JavaScript counts UTF-16 units. */
export function utf16Offset(text, count) {
  let offset = 0;
  for (let left = count; left > 0 && offset < text.length; left -= 1) {
    offset += text.codePointAt(offset) > 0xffff ? 2 : 1;
  }
  return offset;
}

/** `[start, end]` in UTF-16 units of the quoted place; by the quote when the range does not hold it; else null. */
export function findPlace(text, { char_start: start, char_end: end, quote }) {
  if (Number.isInteger(start) && Number.isInteger(end) && end > start) {
    const from = utf16Offset(text, start);
    const to = from + utf16Offset(text.slice(from), end - start);
    if (to > from && squeeze(text.slice(from, to)).includes(squeeze(quote ?? ""))) return [from, to];
  }
  const wanted = (quote ?? "").trim();
  const found = wanted ? text.indexOf(wanted) : -1;
  return found < 0 ? null : [found, found + wanted.length];
}

const squeeze = (text) => text.replace(/\s+/g, " ").trim();

/** Annotations of an answer as sources in their order, each place once: `{ title, place, quote, indexes, ... }`. */
export function readSources(annotations) {
  const sources = new Map();
  for (const annotation of annotations) {
    const source = readSource(annotation);
    const { fileId, href, quote, range } = source;
    const key = JSON.stringify([fileId, href, quote, range.char_start]);
    if (!sources.has(key)) sources.set(key, source);
    sources.get(key).indexes.push(annotation.index ?? annotation.url_citation?.start_index ?? 0);
  }
  return [...sources.values()];
}

function readSource(annotation) {
  const weir = annotation.weir ?? {};
  const link = annotation.url_citation;
  return {
    title: link ? link.title || link.url : annotation.filename || annotation.file_id,
    place: describePlace(weir),
    href: link && /^https?:\/\//i.test(link.url) ? link.url : "",
    fileId: annotation.file_id ?? weir.file_id ?? "",
    vectorStoreId: weir.vector_store_id ?? "",
    quote: weir.quote ?? "",
    range: weir,
    indexes: [], // Where the answer cites it, in code points.
  };
}

/** The answer with a mark wherever a source is cited. The number of a mark is that of the source in the list. */
export function markCitations(answer, sources) {
  const marks = sources.flatMap(({ indexes }, at) =>
    [...new Set(indexes)].map((index) => ({ offset: utf16Offset(answer, index), mark: citedAt(at + 1) })),
  );
  marks.sort((one, other) => one.offset - other.offset);
  let text = "";
  let done = 0;
  for (const { offset, mark } of marks) {
    text += answer.slice(done, offset) + mark;
    done = offset;
  }
  return text + answer.slice(done);
}

function describePlace({ page, row, headings }) {
  const words = [];
  if (page != null) words.push(`page ${page}`);
  if (row != null) words.push(`row ${row}`);
  if (headings?.length) words.push(headings.join(" › "));
  return words.join(" · ");
}

/** The pages of a document's clean text, as the server cuts it. */
async function* readPages({ vectorStoreId, fileId }) {
  const path = `vector_stores/${vectorStoreId}/files/${fileId}/content`;
  for (let page = ""; page !== null; ) {
    const content = await call(page ? `${path}?page=${encodeURIComponent(page)}` : path);
    page = content.has_more ? content.next_page : null;
    yield { text: content.data.map((item) => item.text).join(""), last: page === null };
  }
}

/** Reads as far as the quoted place: `{ text, last }`. */
async function readToPlace(pages, { char_end: end = 0 }) {
  let text = "";
  for (;;) {
    const { value } = await pages.next();
    text += value.text;
    if (value.last || utf16Offset(text, end) < text.length) return { text, last: value.last };
  }
}

let latest = 0; // The newest opening; a slower, older one must not write over it.

/** Opens the dialog: the document's text, scrolled to the quoted place, which is marked. */
export async function openSource(source) {
  const opening = (latest += 1);
  part("title").textContent = source.title;
  part("place").textContent = source.place;
  part("link").hidden = !source.href;
  part("link").href = source.href || "#";
  showMessage("Loading…");
  dialog.showModal();
  if (!source.fileId || !source.vectorStoreId) return showQuote(source, "");
  const pages = readPages(source);
  try {
    const read = await readToPlace(pages, source.range);
    if (opening === latest) showText(read, source, pages);
  } catch (error) {
    if (opening === latest) showQuote(source, `The document could not be opened: ${error.message}`);
  }
}

function showMessage(message) {
  part("message").textContent = message;
  part("message").hidden = !message;
  part("text").replaceChildren();
}

function showQuote(source, message) {
  showMessage(message);
  part("text").append(marked(source.quote));
}

function showText({ text, last }, source, pages) {
  const place = findPlace(text, source.range);
  showMessage(place ? "" : "The quoted place is not in this text any more: the document has changed.");
  if (place) part("text").append(text.slice(0, place[0]), marked(text.slice(...place)), text.slice(place[1]));
  else part("text").append(text);
  if (!last) part("text").append(moreButton(pages));
  part("text").focus();
  part("text").querySelector("mark")?.scrollIntoView({ block: "center" });
}

function marked(text) {
  const mark = document.createElement("mark");
  mark.textContent = text;
  return mark;
}

/** Stands at the end of a text that goes on, and puts the next page in its place. */
function moreButton(pages) {
  const button = document.createElement("button");
  button.textContent = "Show more of the text";
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const { value } = await pages.next();
      button.replaceWith(value.text, ...(value.last ? [] : [moreButton(pages)]));
      part("text").focus();
    } catch (error) {
      button.replaceWith(`The rest could not be loaded: ${error.message}`);
    }
  });
  return button;
}
