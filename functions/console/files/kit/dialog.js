// Windows that ask. The browser's own <dialog> keeps the keyboard inside, and
// gives it back to where it was.
import {html, render, useId, useLayoutEffect, useRef} from "./view.js";
import {words} from "./words.js";

// Dialog is open as long as it is rendered. onClose is called for Escape and
// the Cancel button, so not while busy. children stand above the buttons;
// actions beside Cancel.
export function Dialog({title, onClose, busy = false, cancel = words.cancel, wide = false, actions, children}) {
  const element = useRef();
  const id = useId();
  useLayoutEffect(() => { // so that the keyboard is back before anybody uses it
    const dialog = element.current;
    const before = document.activeElement;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  const refuse = (event) => {
    event.preventDefault();
    if (!busy) onClose();
  };
  return html`
    <dialog ref=${element} class=${wide ? "wide" : ""} aria-labelledby=${id} onCancel=${refuse}>
      <h2 id=${id} tabindex="-1" autofocus>${title}</h2>
      <div class="dialog-body">${children}</div>
      <div class="buttons">
        ${actions}
        <button type="button" class="button" disabled=${busy} onClick=${() => onClose()}>${cancel}</button>
      </div>
    </dialog>`;
}

// ask shows a question and resolves to the value of the answer that was chosen,
// or to undefined: answers is [{value, label, kind}].
export function ask({title, text, answers, cancel}) {
  return new Promise((resolve) => {
    const place = document.body.appendChild(document.createElement("div"));
    const settle = (value) => {
      render(null, place);
      place.remove();
      resolve(value);
    };
    render(html`
      <${Dialog} title=${title} cancel=${cancel ?? words.cancel} onClose=${() => settle(undefined)} actions=${answers.map(({value, label, kind = "primary"}) => html`
        <button type="button" class="button ${kind}" onClick=${() => settle(value)}>${label}</button>`)}>
        ${[text].flat().map((line) => html`<p>${line}</p>`)}
      </${Dialog}>`, place);
  });
}
