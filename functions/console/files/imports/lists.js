// Lists of what an import tells: as much as one can look at, and files to keep.
import {narrowed} from "../find/walk.js";
import {number} from "../kit/format.js";
import {csv, save} from "../kit/save.js";
import {profileType, status} from "../kit/terms.js";
import {html, useEffect, useState} from "../kit/view.js";
import {address} from "../shell/route.js";
import {words} from "./words.js";

// Some shows the first of items, and more when asked: children is a function of
// those to be shown. total counts all, where the API lists only some.
export function Some({items, total = items.length, first = 10, children}) {
  const [most, setMost] = useState(first);
  return html`
    ${children(items.slice(0, most))}
    ${items.length > most && html`<p><button type="button" class="button" onClick=${() => setMost(most + 100)}>${words.more(most, items.length)}</button></p>`}
    ${items.length < total && html`<p class="soft small">${words.listedOnly(items.length, total)}</p>`}`;
}

// useStored asks who of these IDs is stored, and gives a Map of them as rows of
// a list; it is undefined until it is known.
export function useStored(ids) {
  const [stored, setStored] = useState();
  const key = ids.join();
  useEffect(() => {
    const giveUp = new AbortController();
    narrowed({}, ids, giveUp.signal).then(
      (hits) => setStored(new Map(hits.map((hit) => [hit.id, hit]))),
      () => {}, // without it there is the ID alone
    );
    return () => giveUp.abort();
  }, [key]);
  return stored;
}

// Person is a name and an ID, and a link where there is something to open.
export const Person = ({id, name, stored}) => {
  const text = name ? `${name} (${id})` : id;
  return stored ? html`<a href=${address(["profiles", id])}>${text}</a>` : text;
};

// nameIn is what the file calls a profile.
export const nameIn = (table, targets) => {
  const [first, last, organization, type] = ["First Name", "Last Name", "Organization Name", "Profile Type"].map((name) => targets.indexOf(name));
  return (id) => {
    const cells = table.ids.get(id)?.cells;
    if (!cells) return "";
    const person = [cells[first], cells[last]].map((part) => part?.trim()).filter(Boolean).join(" ");
    const company = cells[organization]?.trim() ?? "";
    return (/^organi[sz]ation$/i.test(cells[type]?.trim()) ? company || person : person || company);
  };
};

// The mark at the beginning tells spreadsheets that a file is UTF-8.
const keep = (name, rows, separator) => save(name, `\ufeff${csv(rows, separator)}`);
const base = (name) => name.replace(/\.[^.]*$/, "");

// saveRefused makes a file of the refused rows, as they stand in the table, with
// the reasons in front of each; readTable knows it again. A row of the wrong
// width keeps it, so that it is refused until somebody has mended it.
export function saveRefused(table, errors) {
  const reasons = new Map();
  for (const {row, column, detail} of errors) reasons.set(row, [...reasons.get(row) ?? [], column ? `${column}: ${detail}` : detail]);
  const cells = cellsOf(table);
  const rows = [...reasons].map(([row, why]) => [why.join(" "), ...cells(row)]);
  keep(words.fileOf.refused(base(table.name)), [[words.why, ...table.header], ...rows], table.separator);
}

export function saveWarnings(table, targets, warnings) {
  const cells = cellsOf(table), id = targets.indexOf("Profile ID");
  keep(words.fileOf.warnings(base(table.name)), [words.warningsColumns, ...warnings.map(({row, column, detail}) => [row, cells(row)[id], column, detail])]);
}

// saveMissing reads who they are on the way.
export async function saveMissing(table, ids, signal, tell) {
  const rows = [];
  for (let at = 0; at < ids.length; at += 500) {
    const some = ids.slice(at, at + 500);
    const hits = new Map((await narrowed({}, some, signal)).map((hit) => [hit.id, hit]));
    for (const id of some) {
      const hit = hits.get(id) ?? {};
      rows.push([id, profileType[hit.type], hit.name, hit.company, hit.email, status[hit.status]]);
    }
    tell(words.collected(rows.length, ids.length));
  }
  keep(words.fileOf.missing(base(table.name)), [words.missingColumnsOf, ...rows]);
}

// cellsOf finds a row's cells by its number.
export function cellsOf(table) {
  const cells = new Map(table.rows.map((row) => [row.number, row.cells]));
  return (row) => cells.get(row) ?? table.broken.get(row) ?? [];
}

// Tile is a number with its word.
export const Tiles = ({tiles}) => html`
  <dl class="tiles">
    ${tiles.map(([label, n, kind = ""]) => html`<div class=${n > 0 ? kind : ""}><dt>${label}</dt><dd>${number(n)}</dd></div>`)}
  </dl>`;
