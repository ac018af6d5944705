// Reading a file that staff choose: from its bytes to rows of cells, numbered
// as a spreadsheet shows them.
import {Problem, offline} from "../api/problem.js";
import {words} from "./words.js";

// The most that is read. It is far more than one request takes; see parts.js.
export const mostBytes = 20 << 20;

export const size = (bytes) => `${(bytes / (1 << 20)).toLocaleString("en", {maximumFractionDigits: 1})} MB`;

const refused = (detail) => new Problem({code: "file", detail});

// readTable resolves to the table that a File holds:
//
//   name       the file's
//   header     names of the columns; "" for one without a name
//   rows       [{number, cells}], cells as many as header; blank rows are left out
//   faults     [{row, column, code, detail}] of rows with another number of cells,
//              and broken, their cells by number
//   separator  between the columns
//   guessed    it was not UTF-8, and was taken for windows-1252
//   mended     it is one of refused rows, made by refusedRows (lists.js)
//
// It throws a Problem where the file is none that can be read.
export async function readTable(file) {
  if (file.size > mostBytes) throw refused(words.tooLarge(size(file.size), size(mostBytes)));
  let bytes;
  try { bytes = new Uint8Array(await file.arrayBuffer()); } catch { throw refused(words.unreadable); }
  const {text, guessed} = decode(bytes);
  return {name: file.name, guessed, ...table(await papaparse(), text)};
}

function decode(bytes) {
  const begins = (...head) => head.every((byte, i) => bytes[i] === byte);
  if (begins(0x50, 0x4b, 0x03, 0x04) || begins(0xd0, 0xcf, 0x11, 0xe0)) throw refused(words.workbook); // .xlsx, .xls
  const wide = begins(0xff, 0xfe) ? "utf-16le" : begins(0xfe, 0xff) ? "utf-16be" : undefined; // "Unicode text" of spreadsheets
  let text, guessed = false;
  if (wide) text = new TextDecoder(wide).decode(bytes);
  else {
    try {
      text = new TextDecoder("utf-8", {fatal: true}).decode(bytes);
    } catch {
      text = new TextDecoder("windows-1252").decode(bytes);
      guessed = true;
    }
  }
  if (text.includes("\0")) throw refused(words.notText);
  return {text, guessed};
}

let loading;

// papaparse is the parser. It is no module, so a script element brings it, the
// first time that a file is read.
function papaparse() {
  loading ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = new URL("../vendor/papaparse/papaparse.min.js", import.meta.url).href;
    script.onload = () => done(window.Papa);
    script.onerror = () => {
      loading = undefined;
      script.remove();
      failed(offline());
    };
    document.head.append(script);
  });
  return loading;
}

const blank = (cells) => cells.every((cell) => cell.trim() === "");

function table(Papa, raw) {
  // One kind of line end: the parser takes the first that it finds for all.
  let text = raw.replace(/\r\n?/g, "\n");
  const said = /^"?sep=(.)"?\n/i.exec(text); // a line for Excel, which does not show it as a row
  if (said) text = text.slice(said[0].length);
  const separator = said?.[1] ?? separatorOf(Papa, text);
  const {data, errors} = Papa.parse(text, {delimiter: separator, newline: "\n"});

  const top = data.findIndex((cells) => !blank(cells));
  if (top < 0) throw refused(words.noText);
  let header = data[top].map((name) => name.trim().replace(/\s+/g, " "));
  if (header.length === 1) throw refused(words.oneColumn(header[0].slice(0, 40)));
  const width = header.length;
  const mended = header[0] === words.why;
  if (mended) header = header.slice(1);

  const rows = [], faults = [], broken = new Map();
  const astray = new Set(errors.filter(({type}) => type === "Quotes").map(({row}) => row + 1));
  for (let i = top + 1; i < data.length; i++) {
    let cells = data[i];
    const number = i + 1;
    if (blank(cells)) continue;
    if (cells.length > width && blank(cells.slice(width))) cells = cells.slice(0, width);
    // A cell that runs over lines in a row of the wrong width: its mark was not meant.
    if (cells.length !== width && cells.some((cell) => cell.includes("\n"))) astray.add(number);
    const fits = cells.length === width;
    if (mended) cells = cells.slice(1).map(bare);
    if (fits) rows.push({number, cells});
    else {
      faults.push({row: number, code: "columns_wrong", detail: words.wrongWidth(data[i].length, width)});
      broken.set(number, cells);
    }
  }
  if (astray.size > 0) throw refused(words.quotes([...astray].sort((a, b) => a - b).slice(0, 10)));
  if (rows.length === 0) throw refused(faults.length > 0 ? words.allWrongWidth : words.noRows);
  return {...named(header, rows), faults, broken, separator, mended};
}

// separatorOf is the one with which the first row falls into most cells.
function separatorOf(Papa, text) {
  const first = text.trimStart().slice(0, 65_536);
  const cells = (delimiter) => Papa.parse(first, {delimiter, newline: "\n", preview: 1}).data[0]?.length ?? 0;
  return [",", ";", "\t"].reduce((best, one) => (cells(one) > cells(best) ? one : best));
}

// named leaves out the columns without a name and without any cell, which
// spreadsheets leave behind to the right.
function named(header, rows) {
  const stay = header.map((name, at) => name !== "" || rows.some(({cells}) => cells[at].trim() !== ""));
  if (stay.every(Boolean)) return {header, rows};
  const only = (cells) => cells.filter((_, at) => stay[at]);
  return {header: only(header), rows: rows.map(({number, cells}) => ({number, cells: only(cells)}))};
}

// bare takes off the apostrophe that kit/save.js puts before what a spreadsheet
// would calculate.
const bare = (cell) => (/^'[=+\-@\t\r]/.test(cell) ? cell.slice(1) : cell);
