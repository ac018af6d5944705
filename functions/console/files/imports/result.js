// Step 5: what was done, what is left to mend, and what comes next.
import {Notice} from "../kit/states.js";
import {html} from "../kit/view.js";
import {useMay} from "../shell/me.js";
import {address} from "../shell/route.js";
import {Tiles} from "./lists.js";
import {Missing, Refused, Warnings} from "./report.js";
import {words} from "./words.js";

export function Result({prepared, done, onRestart}) {
  const may = useMay();
  const {table, targets} = prepared;
  return html`
    <${Notice} kind=${done.refused > 0 ? "warn" : "good"} title=${done.refused > 0 ? words.partlyTitle : words.doneTitle} live>
      <p>${words.result(done)}</p>
      ${done.unseen > 0 && html`<p>${words.unseen(done.unseen)}</p>`}
    </${Notice}>
    <${Tiles} tiles=${[
      [words.tiles.created, done.created], [words.tiles.updated, done.updated],
      ...(done.unseen > 0 ? [[words.tiles.unseen, done.unseen]] : []),
      [words.tiles.unchanged, done.unchanged], [words.tiles.refused, done.refused, "bad"],
    ]} />
    ${may("compose_mailings") && html`
      <h3>${words.next}</h3>
      <p>${words.nextText}</p>
      <p><a class="button primary" href=${address(["mailings", "new"], {login: "no_password", mayEnter: "true"})}>${words.send}</a></p>`}
    <${Refused} found=${done} table=${table} targets=${targets} />
    <${Warnings} found=${done} table=${table} targets=${targets} />
    <${Missing} found=${done} table=${table} />
    <p class="buttons"><button type="button" class="button" onClick=${onRestart}>${words.another}</button></p>`;
}
