// Who is there already, by the name or the email that is being typed.
import {Notice} from "../kit/states.js";
import {html, useEffect, useState} from "../kit/view.js";
import {address} from "../shell/route.js";
import {where} from "./hit.js";
import {longEnough, mailboxOf, search} from "./search.js";
import {words} from "./words.js";

const pause = 350; // ms without a key

const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().split(/\s+/).filter(Boolean).join(" ");

export function Twins({values}) {
  const name = (values.type === "organization" ? values.organizationName : `${values.firstName} ${values.lastName}`).trim();
  const email = values.email.trim();
  const namesakes = useFound(name, (hit) => folded(hit.name) === folded(name));
  const housemates = useFound(/.@./.test(email) ? email : "", (hit) => [mailboxOf(hit), (hit.email ?? "").toLowerCase()].includes(email.toLowerCase()));
  return html`
    <div aria-live="polite">
      ${namesakes.length > 0 && html`<${Notice} kind="warn" title=${words.namesake}><${Those} profiles=${namesakes} /></${Notice}>`}
      ${housemates.length > 0 && html`<${Notice} kind="warn" title=${words.housemate}><${Those} profiles=${housemates} /><p>${words.housemateText}</p></${Notice}>`}
    </div>`;
}

// Without an answer there is no warning: it is a help, not a check.
function useFound(text, fits) {
  const [found, setFound] = useState({});
  useEffect(() => {
    if (!longEnough(text)) return undefined;
    const giveUp = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const {profiles} = await search(text, {limit: 25, signal: giveUp.signal});
        if (!giveUp.signal.aborted) setFound({of: text, profiles});
      } catch { /* see above */ }
    }, pause);
    return () => { clearTimeout(timer); giveUp.abort(); };
  }, [text]);
  return found.of === text ? found.profiles.filter(fits).slice(0, 5) : [];
}

// The links open a window of their own, so that what was typed stays.
const Those = ({profiles}) => html`
  <ul>${profiles.map((hit) => html`
    <li><a href=${address(["profiles", hit.id])} target="_blank" rel="noopener">${hit.name} (${hit.id})</a>${" "}
      <span class="soft">${[where(hit), hit.email].filter(Boolean).join(" · ")} (${words.opensAnew})</span></li>`)}
  </ul>`;
