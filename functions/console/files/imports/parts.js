// What is sent of a file: the mapped columns as CSV, in one part if one request
// takes it.
//
// A larger file is cut so that each part stands for itself. Rows that one
// profile ID or one "Related To" ties together are one family, and a family
// stays in one part: so a relation finds its target there or stored, two rows
// of one ID meet, and the main contacts of a member are counted together. Every
// row keeps the place that it has in the file, with empty lines for those of
// other parts: so what the API says of a row has the number that a spreadsheet
// shows.
import {Problem} from "../api/problem.js";
import {words} from "./words.js";

// Limits of one request (POST /api/profile-imports).
const limits = {bytes: 4 << 20, rows: 50_000};

const utf8 = new TextEncoder();
const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

// cut gives [{body, rows}], rows being their number. targets says which of our
// columns each column becomes. It throws a Problem where a family is too large.
export function cut(table, targets, {bytes, rows: most} = limits) {
  const mapped = targets.flatMap((target, at) => (target ? [at] : []));
  const header = mapped.map((at) => targets[at]).join(",");
  const id = targets.indexOf("Profile ID"), relatedTo = targets.indexOf("Related To");
  const lines = table.rows.flatMap(({number, cells}) => {
    const own = mapped.map((at) => cells[at]);
    if (own.every((cell) => cell.trim() === "")) return [];
    const text = own.map(quoted).join(",");
    return {number, text, size: utf8.encode(text).length + 1, id: cells[id]?.trim(), to: cells[relatedTo]?.trim()};
  });
  const room = bytes - header.length - 1 - (lines.at(-1)?.number ?? 0);
  const weigh = (some) => some.reduce((sum, {size}) => sum + size, 0);
  const fits = (size, n) => size <= room && n <= most;

  if (fits(weigh(lines), lines.length)) return [part(header, lines)];
  const parts = [];
  let current = {lines: [], size: 0};
  for (const [name, family] of families(lines)) {
    const size = weigh(family);
    if (!fits(size, family.length)) throw new Problem({code: "file", detail: words.hangTogether(family.length, name)});
    if (!fits(current.size + size, current.lines.length + family.length)) {
      parts.push(current);
      current = {lines: [], size: 0};
    }
    current.lines.push(...family);
    current.size += size;
  }
  parts.push(current);
  return parts.map((one) => part(header, one.lines.sort((a, b) => a.number - b.number)));
}

function part(header, lines) {
  const all = [header];
  for (const {number, text} of lines) {
    while (all.length < number - 1) all.push("");
    all.push(text);
  }
  return {body: `${all.join("\n")}\n`, rows: lines.length};
}

// families are the lines by the ID that leads them, in the order of their first.
function families(lines) {
  const above = new Map();
  const leader = (id) => {
    let at = id;
    for (let next = above.get(at); next !== undefined; next = above.get(at)) {
      above.set(at, above.get(next) ?? next); // shorter for whoever comes next
      at = next;
    }
    return at;
  };
  const nameOf = ({id, number}) => id || `\n${number}`; // no ID can be that
  for (const line of lines) {
    if (!line.to) continue;
    const own = leader(nameOf(line)), other = leader(line.to);
    if (own !== other) above.set(own, other);
  }
  const found = new Map();
  for (const line of lines) {
    const name = leader(nameOf(line));
    if (found.has(name)) found.get(name).push(line);
    else found.set(name, [line]);
  }
  return found;
}
