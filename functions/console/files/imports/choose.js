// Step 1: the file.
import {Field} from "../kit/form.js";
import {csv, save} from "../kit/save.js";
import {Failed, Loading} from "../kit/states.js";
import {html} from "../kit/view.js";
import {always, columns} from "./columns.js";
import {mostBytes, size} from "./read.js";
import {words} from "./words.js";

export function Choose({table, reading}) {
  const choose = ({target}) => {
    const files = [...target.files];
    target.value = ""; // so that the same file, mended, can be chosen again
    if (files.length > 0) reading.run(files);
  };
  return html`
    ${reading.problem && html`<${Failed} problem=${reading.problem} />`}
    ${reading.busy && html`<${Loading} what=${words.reading} />`}
    <div class="drop" hidden=${reading.busy}>
      <${Field} label=${words.file} hint=${words.fileHint(size(mostBytes))}>
        ${(ties) => html`<input type="file" accept=".csv,.tsv,.txt,text/csv,text/tab-separated-values" ...${ties} onChange=${choose} />`}
      </${Field}>
      <p class="soft">${words.drop}</p>
    </div>
    ${table && html`<p>${words.chosen(table)}</p>`}
    <details>
      <summary>${words.mayHold}</summary>
      <p>${words.mayHoldText}</p>
      <table class="stacked">
        <thead><tr><th scope="col">${words.column}</th><th scope="col">${words.holds}</th></tr></thead>
        <tbody>${columns.map((name) => html`
          <tr><td data-label=${words.column}>${name}${always.includes(name) && html` <span class="soft">(${words.required})</span>`}</td><td data-label=${words.holds}>${words.columns[name]}</td></tr>`)}
        </tbody>
      </table>
      <p><button type="button" class="button" onClick=${() => save(words.exampleName, `\ufeff${csv([columns, ...words.exampleRows])}`)}>${words.example}</button></p>
    </details>`;
}
