// Fields with a label, a hint and the reasons why what stands in them was
// refused, tied together for those who do not see them.
import {html, useEffect, useId, useState} from "./view.js";
import {words} from "./words.js";

// Field gives its child, a function, what the control needs: id,
// aria-describedby, aria-invalid.
export function Field({label, hint, errors = [], required = false, children}) {
  const id = useId();
  const described = [hint && `${id}-hint`, errors.length > 0 && `${id}-error`].filter(Boolean).join(" ");
  return html`
    <div class="field ${errors.length > 0 ? "refused" : ""}">
      <label for=${id}>${label}${required && html` <span class="soft">(${words.required})</span>`}</label>
      ${children({id, "aria-describedby": described || undefined, "aria-invalid": errors.length > 0 ? "true" : undefined})}
      ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
      ${errors.length > 0 && html`<p class="error" id="${id}-error">${errors.join(" ")}</p>`}
    </div>`;
}

// TextField: value and onChange(text); everything else goes to the input.
export const TextField = ({label, hint, errors, value, onChange, required, ...rest}) => html`
  <${Field} label=${label} hint=${hint} errors=${errors} required=${required}>
    ${(ties) => html`<input type="text" autocomplete="off" ...${rest} ...${ties} value=${value ?? ""} onInput=${(event) => onChange?.(event.target.value)} />`}
  </${Field}>`;

// SelectField: options is [[value, label], …].
export const SelectField = ({label, hint, errors, value, onChange, options, ...rest}) => html`
  <${Field} label=${label} hint=${hint} errors=${errors}>
    ${(ties) => html`
      <select ...${rest} ...${ties} value=${value ?? ""} onChange=${(event) => onChange(event.target.value)}>
        ${options.map(([of, text]) => html`<option value=${of} selected=${of === (value ?? "")}>${text}</option>`)}
      </select>`}
  </${Field}>`;

// CheckField: value is a boolean.
export function CheckField({label, hint, errors = [], value, onChange, ...rest}) {
  const id = useId();
  const described = [hint && `${id}-hint`, errors.length > 0 && `${id}-error`].filter(Boolean).join(" ");
  return html`
    <div class="field check">
      <input type="checkbox" id=${id} ...${rest} checked=${Boolean(value)} aria-describedby=${described || undefined}
        aria-invalid=${errors.length > 0 ? "true" : undefined} onChange=${(event) => onChange(event.target.checked)} />
      <label for=${id}>${label}</label>
      ${hint && html`<p class="hint" id="${id}-hint">${hint}</p>`}
      ${errors.length > 0 && html`<p class="error" id="${id}-error">${errors.join(" ")}</p>`}
    </div>`;
}

// PasswordField shows what is typed when asked to; a reveal that changes shows
// it, too. children stand behind the button.
export function PasswordField({label, hint, errors, value, onChange, required, reveal, children, ...rest}) {
  const [shown, show] = useState(false);
  useEffect(() => { if (reveal) show(true); }, [reveal]);
  return html`
    <${Field} label=${label} hint=${hint} errors=${errors} required=${required}>
      ${(ties) => html`
        <div class="joined">
          <input type=${shown ? "text" : "password"} autocomplete="new-password" spellcheck=${false} autocapitalize="none" ...${rest} ...${ties}
            value=${value} onInput=${(event) => onChange(event.target.value)} />
          <button type="button" class="button" aria-pressed=${shown ? "true" : "false"} aria-label="${shown ? words.hide : words.show}: ${label}"
            onClick=${() => show(!shown)}>${shown ? words.hide : words.show}</button>
          ${children}
        </div>`}
    </${Field}>`;
}
