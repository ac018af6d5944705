// Step 4: the import on its way.
import {Failed, Notice} from "../kit/states.js";
import {html} from "../kit/view.js";
import {done} from "./run.js";
import {words} from "./words.js";

const all = ({parts}) => parts.reduce((n, {rows}) => n + rows, 0);

export const doneOf = (job, prepared) => words.progress(done(job), all(prepared));

export function Running({job, prepared, phase, note, problem, stopping, onStop, onGoOn, onRestart}) {
  const settled = done(job), of = all(prepared);
  // Before the first answer nobody knows how far it is.
  const moving = phase === "running" && job.answers.length === 0;
  return html`
    <progress aria-label=${words.running} max=${of} value=${moving ? undefined : settled}></progress>
    <p role="status">${doneOf(job, prepared)}${phase === "running" && html` <span class="soft">${stopping ? words.stopping : words.oneStep}</span>`}</p>
    ${note && html`<${Notice} kind="warn" live><p>${words[note]}</p></${Notice}>`}
    ${phase === "stopped" && html`<${Notice} live><p>${words.stopped}</p></${Notice}>`}
    ${phase === "failed" && html`<${Failed} problem=${problem}><p>${words.broken}</p></${Failed}>`}
    <p class="buttons">
      ${phase === "running" && html`<button type="button" class="button" disabled=${stopping} onClick=${onStop}>${note ? words.stopNow : words.stop}</button>`}
      ${phase !== "running" && phase !== "ended" && html`
        <button type="button" class="button primary" onClick=${onGoOn}>${words.goOn}</button>
        <button type="button" class="button" onClick=${onRestart}>${words.another}</button>`}
    </p>`;
}
