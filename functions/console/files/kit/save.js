// Files that the console makes for the person to keep.

// save offers a text as a file.
export function save(name, text, type = "text/csv;charset=utf-8") {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// csv makes a table that a spreadsheet takes for text: a cell that it would
// calculate (CWE-1236) gets an apostrophe in front, as the API's own tables do.
// The separator is a comma, semicolon or tab.
export const csv = (rows, separator = ",") => rows.map((row) => row.map(cell).join(separator)).join("\r\n") + "\r\n";

function cell(value) {
  let text = String(value ?? "");
  if (/^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",;\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
