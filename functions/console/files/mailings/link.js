// Links in a message: where they may lead, and the window that asks.
import {html, useId, useState} from "../kit/view.js";
import {Dialog} from "../kit/dialog.js";
import {TextField} from "../kit/form.js";
import {useFirstField} from "./templates.js";
import {words} from "./words.js";

// addressOf makes what was typed into a link that a mail may hold, or returns
// undefined: https, mailto and tel alone.
export function addressOf(typed) {
  const text = typed.trim();
  if (text.includes("[[")) return undefined;
  if (/^(?:https:\/\/[^\s/]|mailto:\S+@|tel:\+?\d)\S*$/i.test(text)) return text;
  if (/^[^\s@/:]+@[^\s@/]+\.[^\s@/]+$/.test(text)) return `mailto:${text}`;
  if (/^\+?\d[\d ()-]{4,}$/.test(text)) return `tel:${text.replace(/[^+\d]/g, "")}`;
  if (/^[^\s/@:]+\.[^\s/@:.]{2,}(?:[/?#]\S*)?$/.test(text)) return `https://${text}`;
  return undefined;
}

// LinkWindow asks for the address of a link, and for its text where of.empty says
// that none is chosen. onClose gets {href, text}, an empty href to take the link
// away, or nothing.
export function LinkWindow({of, onClose}) {
  const [href, setHref] = useState(of.href);
  const [text, setText] = useState("");
  const [refused, setRefused] = useState(false);
  const done = (event) => {
    event.preventDefault();
    const address = addressOf(href);
    if (!address) { setRefused(true); return; }
    onClose({href: address, text: of.empty ? text.trim() || href.trim() : ""});
  };
  const form = useId();
  useFirstField(form);
  return html`
    <${Dialog} title=${words.linkTitle} onClose=${() => onClose()} actions=${html`
      <button type="submit" form=${form} class="button primary">${words.setLink}</button>
      ${of.href && html`<button type="button" class="button" onClick=${() => onClose({href: ""})}>${words.removeLink}</button>`}`}>
      <form id=${form} onSubmit=${done} novalidate>
        <${TextField} label=${words.linkAddress} hint=${words.linkHint} inputmode="url" value=${href} errors=${refused ? [words.linkRefused] : []}
          onChange=${(typed) => { setHref(typed); setRefused(false); }} />
        ${of.empty && html`<${TextField} label=${words.linkText} hint=${words.linkTextHint} value=${text} onChange=${setText} />`}
      </form>
    </${Dialog}>`;
}
