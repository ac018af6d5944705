// The Message tab: subject, text, templates.
import {html, useId, useRef, useState} from "../kit/view.js";
import {call, read} from "../api/client.js";
import {ask} from "../kit/dialog.js";
import {useLoad} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Loaded} from "../kit/states.js";
import {Editor} from "./editor.js";
import {FieldMenu} from "./fieldmenu.js";
import {holds, plain, sample} from "./fields.js";
import {SaveAs, Templates} from "./templates.js";
import {words} from "./words.js";

export function Message({draft}) {
  const fields = useLoad(async (signal) => (await read("/api/special-fields", {}, {signal})).data.fields, []);
  const [open, setOpen] = useState(); // "use" or "save"
  const {mine} = draft;
  const reasons = draft.problem?.byField ?? {};
  const empty = plain(mine.html) === "";

  const use = async (template) => {
    let how = "replace";
    if (!empty) {
      how = await ask({title: words.replaceTitle, text: words.replaceText, answers: [{value: "append", label: words.append}, {value: "replace", label: words.replace, kind: ""}]});
      if (!how) return;
    }
    setOpen(undefined);
    const append = how === "append";
    draft.put({
      html: append ? mine.html + template.html : template.html,
      subject: append && mine.subject.trim() ? mine.subject : template.subject || mine.subject,
    });
  };
  const save = async (name) => {
    await call("POST", "/api/templates", {body: {name, subject: mine.subject, html: mine.html}});
    say(words.templateSaved(name));
  };
  return html`
    <section class="card" aria-label=${words.message}>
      <${Loaded} of=${fields} what=${words.loadingFields}>${(all) => html`
        <${Subject} value=${mine.subject} fields=${all} errors=${reasons.subject} onChange=${(subject) => draft.change({subject})} />
        <div class="body-head">
          <h2>${words.body}</h2>
          <div class="buttons">
            <button type="button" class="button" onClick=${() => setOpen("use")}>${words.useTemplate}</button>
            <button type="button" class="button" disabled=${empty && !mine.subject.trim()} onClick=${() => setOpen("save")}>${words.saveTemplate}</button>
          </div>
        </div>
        <${Editor} label=${words.body} value=${mine.html} given=${draft.given} fields=${all} errors=${reasons.html} onChange=${(text) => draft.change({html: text})}
          onTyping=${(now) => { draft.typing = now; }} />`}
      </${Loaded}>
    </section>
    ${open === "use" && html`<${Templates} onUse=${use} onClose=${() => setOpen(undefined)} />`}
    ${open === "save" && html`<${SaveAs} title=${words.saveTemplateTitle} text=${words.saveTemplateText} label=${words.templateName} save=${save} onClose=${() => setOpen(undefined)} />`}`;
}

// Subject is one line; its fields are codes, and below it stands how it reads.
function Subject({value, fields, errors = [], onChange}) {
  const id = useId();
  const input = useRef();
  const inSubject = fields.filter((field) => field.inSubject);
  const insert = (field) => {
    const {selectionStart, selectionEnd} = input.current;
    input.current.focus();
    input.current.setRangeText(`[[${field.code}]]`, selectionStart, selectionEnd, "end");
    onChange(input.current.value);
  };
  const filled = inSubject.some((field) => holds(value, field.code));
  return html`
    <div class="field subject-field ${errors.length > 0 ? "refused" : ""}">
      <label for=${id}>${words.subject}</label>
      <div class="joined">
        <input type="text" id=${id} ref=${input} autocomplete="off" value=${value} aria-describedby="${id}-hint ${id}-error" aria-invalid=${errors.length > 0 ? "true" : undefined} onInput=${(event) => onChange(event.target.value)} />
        <${FieldMenu} fields=${inSubject} name=${words.subjectField} onPick=${insert} />
      </div>
      <p class="hint" id="${id}-hint">${filled ? words.subjectReads(sample(value, inSubject)) : words.subjectHint}</p>
      <p class="error" id="${id}-error">${errors.join(" ")}</p>
    </div>`;
}
