// A window that asks first, then does it, and stays with the reason if that fails.
import {html} from "../kit/view.js";
import {Dialog} from "../kit/dialog.js";
import {useTask} from "../kit/load.js";
import {Failed} from "../kit/states.js";
import {words} from "./report.words.js";

// Confirm calls work() when its button is pressed, and onClose(true) when that
// has succeeded. Where ready is false there is nothing to be done any more.
export function Confirm({title, label, keep, kind = "primary", ready = true, work, onClose, children}) {
  const task = useTask(async () => {
    await work();
    onClose(true);
  });
  return html`
    <${Dialog} title=${title} busy=${task.busy} cancel=${ready ? keep : words.close} onClose=${() => onClose(false)} actions=${(ready || task.busy) && html`
      <button type="button" class="button ${kind}" disabled=${task.busy} onClick=${() => task.run()}>${label}</button>`}>
      ${children}
      ${task.problem && html`<${Failed} problem=${task.problem}>${task.problem.offline && html`<p>${words.maybeDone}</p>`}</${Failed}>`}
    </${Dialog}>`;
}
