// Saved messages: choosing one, and saving one.
import {html, useEffect, useId, useState} from "../kit/view.js";
import {call, read} from "../api/client.js";
import {Dialog, ask} from "../kit/dialog.js";
import {TextField} from "../kit/form.js";
import {useLoad, useTask} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Badge, Failed, Loaded} from "../kit/states.js";
import {plain} from "./fields.js";
import {words} from "./words.js";

// Templates is the window to choose from; onUse gets the template.
export function Templates({onUse, onClose}) {
  const all = useLoad(async (signal) => (await read("/api/templates", {}, {signal})).data.templates, []);
  const remove = useTask(async (one) => {
    const yes = await ask({
      title: words.deleteTemplateTitle(one.name), text: words.deleteTemplateText, answers: [{value: true, label: words.deleteYes, kind: "danger"}],
    });
    if (!yes) return;
    try {
      await call("DELETE", `/api/templates/${encodeURIComponent(one.id)}`, {version: one.version});
      say(words.templateGone(one.name));
    } finally { all.reload(); }
  });
  return html`
    <${Dialog} title=${words.templatesTitle} wide onClose=${onClose}>
      <p>${words.templatesText}</p>
      ${remove.problem && html`<${Failed} problem=${remove.problem} />`}
      <${Loaded} of=${all}>${(templates) => html`
        <ul class="choices">${templates.map((one) => html`
          <li key=${one.id}>
            <div>
              <strong>${one.name}</strong> ${one.readOnly && html`<${Badge}>${words.shipped}</${Badge}>`}
              <p class="small">${one.subject || words.noSubject}</p>
              <p class="small soft clipped">${plain(one.html)}</p>
              ${one.updatedBy && html`<p class="small soft">${words.by(one.updatedBy, one.updatedAt)}</p>`}
            </div>
            <div class="buttons">
              <button type="button" class="button primary" aria-label=${words.useNamed(one.name)} onClick=${() => onUse(one)}>${words.use}</button>
              ${!one.readOnly && html`<button type="button" class="button danger" aria-label=${words.deleteNamed(one.name)} disabled=${remove.busy} onClick=${() => remove.run(one)}>${words.deleteShort}</button>`}
            </div>
          </li>`)}
        </ul>`}
      </${Loaded}>
    </${Dialog}>`;
}

// useFirstField puts the keyboard into the first field of a window's form.
export function useFirstField(form) {
  useEffect(() => { document.getElementById(form)?.querySelector("input")?.focus(); }, []);
}

// SaveAs is the window that asks for a name and saves under it: save(name).
export function SaveAs({title, text, label, save, onClose}) {
  const [name, setName] = useState("");
  const [empty, setEmpty] = useState(false);
  const form = useId();
  useFirstField(form);
  const task = useTask(async () => {
    await save(name.trim());
    onClose();
  });
  const submit = (event) => {
    event.preventDefault();
    if (name.trim()) task.run();
    else setEmpty(true);
  };
  const reasons = empty ? [words.nameMissing] : task.problem?.byField?.name ?? [];
  return html`
    <${Dialog} title=${title} busy=${task.busy} onClose=${onClose} actions=${html`
      <button type="submit" form=${form} class="button primary" disabled=${task.busy}>${words.save}</button>`}>
      ${text && html`<p>${text}</p>`}
      <form id=${form} onSubmit=${submit} novalidate>
        <${TextField} label=${label} required maxlength="100" value=${name} errors=${reasons} onChange=${(typed) => { setName(typed); setEmpty(false); }} />
      </form>
      ${task.problem && reasons.length === 0 && html`<${Failed} problem=${task.problem} />`}
    </${Dialog}>`;
}
