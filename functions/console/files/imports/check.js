// Step 3: what the import would do, told before anything is saved.
import {useLoad} from "../kit/load.js";
import {Loaded, Notice} from "../kit/states.js";
import {html, useState} from "../kit/view.js";
import {Access, Addresses} from "./effects.js";
import {Tiles} from "./lists.js";
import {Missing, Refused, Warnings} from "./report.js";
import {check} from "./run.js";
import {words} from "./words.js";

export function Check({prepared, checked, onChecked, onImport, onRestart}) {
  const {table, parts} = prepared;
  const [at, setAt] = useState(0);
  const answer = useLoad(async (signal) => {
    if (checked) return checked;
    const found = await check(table, parts, signal, setAt);
    onChecked(found);
    return found;
  }, []);
  const rows = parts.reduce((n, part) => n + part.rows, 0);
  const waiting = `${words.checking(rows)}${parts.length > 1 ? ` ${words.checkingPart(at + 1, parts.length)}` : ""}`;
  return html`
    <${Loaded} of=${answer} what=${waiting}>
      ${(found) => html`<${Found} found=${found} prepared=${prepared} onImport=${onImport} onRestart=${onRestart} />`}
    </${Loaded}>`;
}

function Found({found, prepared, onImport, onRestart}) {
  const {table, targets, parts} = prepared;
  const saves = found.created + found.updated;
  const {effects} = found;
  return html`
    ${onImport && saves > 0 && html`<${Notice} live><p>${words.nothingSaved}</p></${Notice}>`}
    ${saves === 0 && html`<${Notice} kind=${found.unchanged > 0 ? "good" : "bad"} live><p>${found.unchanged > 0 ? words.nothingToDo : words.nothingGood}</p></${Notice}>`}
    <${Tiles} tiles=${[
      [words.tiles.created, found.created], [words.tiles.updated, found.updated],
      [words.tiles.unchanged, found.unchanged], [words.tiles.refused, found.refused, "bad"],
      [words.tiles.lose, effects.loseTotal, "warn"], [words.tiles.gain, effects.gainTotal], [words.tiles.addresses, effects.linksEndTotal],
    ]} />
    ${parts.length > 1 && html`<${Notice} kind="warn"><p>${words.inParts(parts.length)}</p></${Notice}>`}
    <${Refused} found=${found} table=${table} targets=${targets} />
    <${Access} kind="lose" people=${effects.lose} total=${effects.loseTotal} />
    <${Access} kind="gain" people=${effects.gain} total=${effects.gainTotal} />
    ${saves > 0 && effects.loseTotal + effects.gainTotal === 0 && html`<p>${words.noAccess}</p>`}
    <${Addresses} found=${found} table=${table} targets=${targets} />
    <${Warnings} found=${found} table=${table} targets=${targets} />
    <${Missing} found=${found} table=${table} />
    <p class="buttons next">
      ${onImport && saves > 0 && html`<button type="button" class="button primary" onClick=${onImport}>${words.import(saves)}</button>`}
      <button type="button" class="button" onClick=${onRestart}>${words.another}</button>
    </p>`;
}
