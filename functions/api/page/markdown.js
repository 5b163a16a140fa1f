// A small part of Markdown as DOM nodes: paragraphs, headings, lists, code, bold and italic. Never as HTML text.

const FENCE = /^\s{0,8}(`{3,}|~{3,})\s*([\w+#.-]*)\s*$/;
const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(.*)$/;
const HEADING = /^(#{1,6})\s+(.*?)\s*#*$/;
const INLINE = new RegExp(
  [
    /`([^`]+)`/,
    /\*\*((?:[^*]|\*(?!\*))+)\*\*/,
    /\*([^\s*](?:[^*\n]*[^\s*])?)\*/,
    // Where sources are cited, with the marker that the model wrote: [1], [1, 3], 【source 1】.
    /((?:\ue000\d+\ue001)+)(?:[[【［]\s*(?:[Ss]ources?\s*)?\d{1,3}(?:\s*[,，、]\s*\d{1,3})*\s*[\]】］])?/,
  ]
    .map((pattern) => pattern.source)
    .join("|"),
  "g",
);
const CITED = /\ue000(\d+)\ue001/g;

/** Stands in text where source `number` is cited; a marker of the model's that follows is shown as the same. */
export const citedAt = (number) => `\ue000${number}\ue001`;

const element = (name, ...children) => {
  const node = document.createElement(name);
  node.append(...children);
  return node;
};

/** Splits text into blocks `{ kind, lines, language? }`; the last block may still grow. */
function parseBlocks(text) {
  const blocks = [];
  let open = null;
  let fence = "";
  const begin = (block) => {
    open = block;
    blocks.push(block);
  };
  for (const line of text.split(/\r?\n/)) {
    const bare = line.replace(CITED, ""); // In code nothing is cited: it stays as the model wrote it.
    if (fence) {
      if (bare.trim().startsWith(fence) && !bare.trim().slice(fence.length).trim()) {
        fence = "";
        open = null;
      } else open.lines.push(bare);
    } else if (FENCE.test(bare)) {
      const [, marks, language] = FENCE.exec(bare);
      fence = marks;
      begin({ kind: "code", lines: [], language });
    } else if (!line.trim()) {
      if (open?.kind === "list") open.paused = true;
      else open = null;
    } else if (ITEM.test(line)) {
      if (open?.kind !== "list") begin({ kind: "list", lines: [] });
      open.paused = false;
      open.lines.push(line);
    } else if (HEADING.test(line)) {
      blocks.push({ kind: "heading", lines: [line] });
      open = null;
    } else if (open?.kind === "list" && (!open.paused || /^\s{2,}/.test(line))) {
      open.lines[open.lines.length - 1] += `\n${line.trim()}`;
    } else {
      if (open?.kind !== "paragraph") begin({ kind: "paragraph", lines: [] });
      open.lines.push(line);
    }
  }
  return blocks;
}

/** Text as nodes. `citation(n)` gives the node where source `n` is cited, or null for none. */
function inline(text, citation) {
  const nodes = [];
  let done = 0;
  for (const match of text.matchAll(INLINE)) {
    nodes.push(text.slice(done, match.index), ...inlineNodes(match, citation));
    done = match.index + match[0].length;
  }
  nodes.push(text.slice(done));
  return nodes;
}

function inlineNodes([whole, code, bold, italic, cited], citation) {
  if (code) return [element("code", code.replace(CITED, ""))];
  if (bold) return [element("strong", ...inline(bold, citation))];
  if (italic) return [element("em", ...inline(italic, citation))];
  const marks = Array.from(cited.matchAll(CITED), ([, number]) => citation(Number(number))).filter(Boolean);
  return marks.length ? marks : [whole];
}

function renderList(lines, citation) {
  const root = document.createDocumentFragment();
  const levels = []; // { indent, list } from the outermost list inwards
  for (const source of lines) {
    const [head, ...more] = source.split("\n");
    const [, spaces, number, body] = ITEM.exec(head);
    const indent = spaces.replaceAll("\t", "    ").length;
    while (levels.length > 1 && indent < levels.at(-1).indent) levels.pop();
    if (!levels.length || indent >= levels.at(-1).indent + 2) {
      const list = element(number ? "ol" : "ul");
      (levels.at(-1)?.list.lastElementChild ?? root).append(list);
      levels.push({ indent, list });
    }
    const item = element("li", ...inline([body, ...more].join("\n"), citation));
    if (number) item.value = Number(number);
    levels.at(-1).list.append(item);
  }
  return root.firstElementChild;
}

function renderBlock(block, citation) {
  if (block.kind === "list") return renderList(block.lines, citation);
  if (block.kind === "heading") {
    const [, marks, title] = HEADING.exec(block.lines[0]);
    return element(`h${Math.min(6, marks.length + 2)}`, ...inline(title, citation));
  }
  if (block.kind === "paragraph") return element("p", ...inline(block.lines.join("\n"), citation));
  const pre = element("pre", element("code", block.lines.join("\n")));
  pre.tabIndex = 0; // Long lines scroll; the keyboard must reach them.
  if (block.language) pre.dataset.language = block.language;
  return pre;
}

/** Shows growing Markdown in `container`; blocks that did not change keep their nodes, and so a selection in them. */
export class MarkdownView {
  #shown = [];

  constructor(container) {
    this.container = container;
  }

  update(text, citation = () => null) {
    const blocks = parseBlocks(text);
    const sources = blocks.map((block) => JSON.stringify(block));
    let same = 0;
    while (same < sources.length && sources[same] === this.#shown[same]) same += 1;
    while (this.container.childNodes.length > same) this.container.lastChild.remove();
    this.container.append(...blocks.slice(same).map((block) => renderBlock(block, citation)));
    this.#shown = sources;
  }
}
