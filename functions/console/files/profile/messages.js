// What stands above the tabs: what became of the last Save Profile, and what
// others have done meanwhile.
import {Notice} from "../kit/states.js";
import {html, useId} from "../kit/view.js";
import {labelOf, told} from "./values.js";
import {words} from "./words.js";

export function Messages({saving, tabs, heldBack}) {
  const {message, busy, look} = saving;
  if (!message) return null;
  const {kind, problem, unsure, reasons = []} = message;
  const box = (colour, title, ...lines) => html`
    <${Notice} kind=${colour} title=${title} live>${lines.filter(Boolean).map((line) => html`<p>${line}</p>`)}</${Notice}>`;
  const waits = heldBack && words.heldBack;
  switch (kind) {
    case "refused":
      return box("bad", words.refusedTitle, ...reasons, tabs.length > 0 && words.refusedText(tabs), waits);
    case "failed":
      return box("bad", words.refusedTitle, problem.detail);
    case "unsent":
      return box("warn", words.notArrivedTitle, problem.detail, words.uncheckedText);
    case "lost":
      return box("warn", words.notArrivedTitle, !problem.offline && problem.detail, words.notArrivedText, waits);
    case "half":
      return box("warn", unsure ? words.halfUnsureTitle : words.halfTitle, unsure ? words.unsureText : words.halfText);
    case "credentials":
      return unsure ? box("warn", words.unsureTitle, words.unsureText) : box("bad", words.credentialsTitle, words.halfText);
    case "uncertain":
      return html`
        <${Notice} kind="warn" title=${words.uncertainTitle} live>
          <p>${busy ? words.looking : words.uncertainText}</p>
          ${!busy && html`<p><button type="button" class="button" onClick=${look}>${words.lookNow}</button></p>`}
        </${Notice}>`;
    default: // choose: the box below says it
      return null;
  }
}

// Clashes lets staff choose, field by field, what is to be saved where
// somebody else has changed the same.
export function Clashes({clashes, choose, missing}) {
  const names = Object.keys(clashes);
  if (names.length === 0) return null;
  return html`
    <section class="notice warn clashes" aria-labelledby="clashes">
      <h2 id="clashes" tabindex="-1">${words.chooseTitle}</h2>
      <p>${words.chooseText}</p>
      ${missing && html`<p class="error" role="alert">${words.chooseFirst}</p>`}
      ${names.map((name) => html`<${Clash} key=${name} name=${name} clash=${clashes[name]} choose=${choose} />`)}
    </section>`;
}

function Clash({name, clash, choose}) {
  const id = useId();
  const way = (choice, text) => html`
    <div class="field check">
      <input type="radio" name=${id} id="${id}-${choice}" checked=${clash.choice === choice} onChange=${() => choose(name, choice)} />
      <label for="${id}-${choice}">${text}</label>
    </div>`;
  return html`
    <fieldset>
      <legend>${labelOf(name)}</legend>
      <p class="small soft">${words.before(told(name, clash.was))}</p>
      ${way("theirs", words.theirs(told(name, clash.theirs)))}
      ${way("mine", words.mine(told(name, clash.mine)))}
    </fieldset>`;
}

// News tells what others changed elsewhere in the profile; it stays as they
// have it.
export const News = ({news, done}) => news.length > 0 && html`
  <${Notice} kind="info" title=${words.newsTitle} live>
    <p>${words.newsKept}</p>
    <ul>${news.map(({name, was, theirs}) => html`<li>${words.news(labelOf(name), told(name, was), told(name, theirs))}</li>`)}</ul>
    <p><button type="button" class="button" onClick=${done}>${words.gotIt}</button></p>
  </${Notice}>`;
