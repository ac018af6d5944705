// Special fields: in what is stored they are codes in the text, [[FIRSTNAME]];
// in the editor they are chips, which are deleted, moved and copied whole.
//
// A chip is a content attachment of Trix. It is made of a span, for a figure
// would end the paragraph that it stands in as soon as HTML is read.

// chipType marks an attachment that is a special field; the API knows it, too.
export const chipType = "application/x-merge-field";

const code = /\[\[[ \u00a0]*([A-Za-z][A-Za-z0-9_-]*)[ \u00a0]*\]\]/g;

// What the editor must not get to see: it would be lost there, or try to load.
const foreign = "script, style, template, link, meta, title, base, iframe, object, embed, noscript, svg, math, img, picture, video, audio, form, input, button, select, textarea";

const tag = /<\/?[a-z](?:"[^"]*"|'[^']*'|[^'">])*>/gi;

// parse reads HTML without letting it do anything. The page's policy counts a
// style or a handler as one of the page even here, so they are hidden from it
// first.
function parse(html) {
  const tame = html.replace(/<style\b[^]*?(?:<\/style\s*>|$)/gi, "")
    .replace(tag, (one) => one.replace(/^<(\/?)fig(?:ure|caption)\b/i, "<$1span").replace(/(["'\s/])(style|on[a-z]+)(?=\s*=)/gi, "$1data-$2"));
  return new DOMParser().parseFromString(tame, "text/html").body;
}

// attachment is what Trix makes a chip of. Its content is HTML, so the label
// is put there as text.
export function attachment(field) {
  const shown = document.createElement("span");
  shown.className = "special-field";
  shown.textContent = field.label;
  return {contentType: chipType, field: field.code, content: shown.outerHTML};
}

// toChips is stored HTML as the editor loads it: each known code becomes a
// chip. What is unknown stays text, to be seen and mended. Nothing that could
// run, load or style is left.
export function toChips(html, fields) {
  const known = new Map(fields.map((field) => [field.code, field]));
  const body = parse(html);
  clean(body);
  for (const node of texts(body)) {
    const parts = [];
    let rest = 0;
    for (const found of node.data.matchAll(code)) {
      const field = known.get(found[1].toUpperCase());
      if (!field) continue;
      const chip = body.ownerDocument.createElement("span");
      chip.setAttribute("data-trix-attachment", JSON.stringify(attachment(field)));
      chip.setAttribute("data-trix-content-type", chipType);
      parts.push(node.data.slice(rest, found.index), chip);
      rest = found.index + found[0].length;
    }
    if (parts.length > 0) node.replaceWith(...parts, node.data.slice(rest));
  }
  return body.innerHTML;
}

// toCodes is the editor's HTML as it is stored.
export function toCodes(html) {
  const body = parse(html);
  clean(body);
  // The editor writes some spaces as no-break spaces, such as those beside a chip.
  const all = texts(body);
  all.forEach((node, i) => {
    const beside = (other) => (other && blockOf(other) === blockOf(node) ? other.data : "");
    const before = node.previousSibling?.localName === "br" ? "" : beside(all[i - 1]).slice(-1);
    const after = node.nextSibling?.localName === "br" ? "" : beside(all[i + 1]).slice(0, 1);
    node.data = `${before}${node.data}${after}`.replace(/(\S)\u00a0(?=\S)/g, "$1 ").slice(before.length, after ? -1 : undefined);
  });
  return body.innerHTML;
}

// plain is stored HTML as text, to be shown where there is no editor.
export function plain(html) {
  const body = parse(html);
  clean(body);
  for (const end of body.querySelectorAll("br, p, div, h1, h2, li, blockquote, pre")) end.after("\n");
  return body.textContent.replace(/[ \t]*\n[ \t]*/g, "\n").trim();
}

// holds says whether HTML or a subject has a field.
export const holds = (text, wanted) => [...(text ?? "").matchAll(code)].some((found) => found[1].toUpperCase() === wanted);

// sample is a subject as somebody could get it: with each field's example.
export function sample(text, fields) {
  return text.replace(code, (typed, name) => fields.find((field) => field.code === name.toUpperCase())?.sample ?? typed);
}

// clean takes out what is foreign, and styles, which the page's policy forbids;
// bold and italic of a style (as pasted text has them) become elements. Chips
// become codes.
function clean(body) {
  for (const chip of body.querySelectorAll("[data-trix-attachment]")) {
    let of = {};
    try { of = JSON.parse(chip.getAttribute("data-trix-attachment")); } catch { /* none of ours */ }
    chip.replaceWith(of.contentType === chipType && of.field ? `[[${of.field}]]` : "");
  }
  body.querySelectorAll(foreign).forEach((element) => element.remove());
  for (const element of body.querySelectorAll("*")) {
    const style = element.dataset.style ?? "";
    if (element.localName === "span" && /font-weight:\s*(?:bold|[6-9]00)/i.test(style)) wrap(element, "strong");
    if (element.localName === "span" && /font-style:\s*italic/i.test(style)) wrap(element, "em");
    if (/^(?:b|strong)$/.test(element.localName) && /font-weight:\s*(?:normal|400)/i.test(style)) element.replaceWith(...element.childNodes);
    for (const {name} of [...element.attributes]) if (name !== "href") element.removeAttribute(name);
  }
  body.normalize();
}

const blockOf = (node) => node.parentNode.closest("p, div, li, h1, h2, h3, blockquote, pre, td, body");

function wrap(element, name) {
  const inner = element.ownerDocument.createElement(name);
  inner.append(...element.childNodes);
  element.append(inner);
}

function texts(body) {
  const walk = body.ownerDocument.createTreeWalker(body, NodeFilter.SHOW_TEXT);
  const all = [];
  while (walk.nextNode()) all.push(walk.currentNode);
  return all;
}
