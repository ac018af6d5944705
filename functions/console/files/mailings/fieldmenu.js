// FieldMenu is the Special Field dropdown: a menu button with the fields by
// group, the login's above all.
import {html, useId, useLayoutEffect, useRef, useState} from "../kit/view.js";
import {words} from "./words.js";

// onPick gets the field that was chosen; whoever uses the menu puts the keyboard
// back to where the field went.
export function FieldMenu({fields, onPick, label = words.specialField, name = label, disabled = false}) {
  const id = useId();
  const [open, setOpen] = useState(false);
  const button = useRef();
  const menu = useRef();
  const items = () => [...menu.current.querySelectorAll("[role=menuitem]")];

  useLayoutEffect(() => { // at once: a late one would take the keyboard from where the field went
    if (!open) return undefined;
    items()[0]?.focus({preventScroll: true});
    const away = (event) => { if (!menu.current?.contains(event.target) && !button.current?.contains(event.target)) setOpen(false); };
    document.addEventListener("pointerdown", away);
    return () => document.removeEventListener("pointerdown", away);
  }, [open]);

  const keys = (event) => {
    const all = items();
    const at = all.indexOf(document.activeElement);
    const to = {ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length, Home: 0, End: all.length - 1}[event.key];
    if (to !== undefined) {
      event.preventDefault();
      all[to].focus();
    } else if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      setOpen(false);
      button.current.focus();
    } else if (event.key === "Tab") {
      setOpen(false);
    } else if (/^\S$/.test(event.key) && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const begins = (item) => item.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase());
      [...all.slice(at + 1), ...all.slice(0, at + 1)].find(begins)?.focus();
    }
  };
  const pick = (field) => {
    setOpen(false);
    onPick(field);
  };
  const groups = grouped(fields);
  const order = [...groups.keys()].sort((a, b) => (b === "Login") - (a === "Login"));
  return html`
    <div class="field-menu">
      <button type="button" class="button" ref=${button} aria-haspopup="menu" aria-expanded=${open ? "true" : "false"} aria-controls=${open ? id : undefined}
        aria-label=${name} disabled=${disabled} onMouseDown=${(event) => event.preventDefault()} onClick=${() => setOpen(!open)}
        onKeyDown=${(event) => { if (event.key === "ArrowDown" && !open) { event.preventDefault(); setOpen(true); } }}>${label} <span aria-hidden="true">▾</span></button>
      ${open && html`
        <div role="menu" id=${id} class="menu-panel" aria-label=${name} ref=${menu} onKeyDown=${keys}>
          ${order.map((group) => html`
            <div role="group" key=${group} aria-label=${words.group[group] ?? group}>
              <p class="menu-group" aria-hidden="true">${words.group[group] ?? group}</p>
              ${groups.get(group).map((field) => html`
                <button type="button" role="menuitem" tabindex="-1" key=${field.code} onMouseDown=${(event) => event.preventDefault()} onClick=${() => pick(field)}>
                  ${field.label} <span class="soft small">${field.sample}</span>
                </button>`)}
            </div>`)}
        </div>`}
    </div>`;
}

function grouped(fields) {
  const groups = new Map();
  for (const field of fields) groups.set(field.group, [...(groups.get(field.group) ?? []), field]);
  return groups;
}
