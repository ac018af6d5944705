// What one person gets, as HTML and as text, on a wide screen and on a phone;
// and the same as a test to the office's own addresses.
import {html, useEffect, useId, useRef, useState} from "../kit/view.js";
import {call, read} from "../api/client.js";
import {Dialog} from "../kit/dialog.js";
import {CheckField} from "../kit/form.js";
import {useLoad, useTask} from "../kit/load.js";
import {Failed, Loading, Notice} from "../kit/states.js";
import {Picker} from "../profile/picker.js";
import {useMay} from "../shell/me.js";
import {address} from "../shell/route.js";
import {asQuery} from "./filter.js";
import {words} from "./words.js";

const few = 20; // recipients to leaf through

// firstOf lists some of a mailing's recipients: of the counted ones, or else of
// those who match.
async function firstOf(id, audience, signal) {
  try {
    const {data} = await read(`/api/mailings/${encodeURIComponent(id)}/recipients`, {outcome: "pending", limit: few}, {signal});
    if (data.recipients.length > 0) return data.recipients.map(({profile, name}) => ({id: profile, name}));
  } catch (problem) {
    if (problem.code !== "audience_not_frozen") throw problem;
  }
  if (audience.profiles) {
    const some = await Promise.allSettled(audience.profiles.slice(0, few).map((one) => read(`/api/profiles/${encodeURIComponent(one)}`, {}, {signal})));
    return some.filter(({status}) => status === "fulfilled").map(({value: {data}}) => ({id: data.id, name: data.name}));
  }
  const {data} = await read("/api/profiles", {...asQuery(audience), limit: few}, {signal});
  return data.profiles.map((hit) => ({id: hit.id, name: hit.name}));
}

// Preview is the window, of a draft or of a mailing that is none any more. The
// API shows what is stored, so a draft is saved first.
export function Preview({draft, mailing = draft.mailing, onClose}) {
  const [as, setAs] = useState(); // {id, name}
  const [format, setFormat] = useState("html");
  const [width, setWidth] = useState("desktop");
  const saved = useLoad(async (signal) => {
    if (draft && !await draft.flush()) throw draft.problem ?? new Error(words.justTyped);
    const people = await firstOf(mailing.id, draft?.base.audience ?? mailing.audience, signal);
    setAs((before) => before ?? people[0]);
    return people;
  }, []);
  const mail = useLoad(async (signal) => {
    if (!as) return undefined;
    const {data} = await call("POST", `/api/mailings/${encodeURIComponent(mailing.id)}/preview`, {body: {profile: as.id}, signal});
    return {...data, as};
  }, [as?.id]);
  // The mail of before is seen until the next one is there, or does not come.
  const last = useRef();
  last.current = mail.problem ? undefined : mail.data ?? last.current;
  const seen = last.current;
  const people = saved.data ?? [];
  const at = people.findIndex(({id}) => id === as?.id);
  const leaf = (step) => setAs(people[(at + step + people.length) % people.length]);
  const choice = (label, options, value, set) => html`
    <div class="switch" role="group" aria-label=${label}>
      ${options.map(([of, text]) => html`<button type="button" class="button" key=${of} aria-pressed=${value === of ? "true" : "false"} onClick=${() => set(of)}>${text}</button>`)}
    </div>`;
  const problem = saved.problem ?? mail.problem;
  return html`
    <${Dialog} title=${words.previewTitle} wide cancel=${words.close} onClose=${onClose}>
      ${problem?.code === "message_incomplete" ? html`<${Notice}><p>${words.previewIncomplete}</p></${Notice}>`
        : problem && html`<${Failed} problem=${problem} retry=${saved.problem ? saved.reload : mail.reload} />`}
      ${!saved.problem && saved.data && html`
        <div class="preview-who">
          <${Picker} label=${words.previewAs} hint=${words.previewAsHint} onPick=${({id, name}) => setAs({id, name})} />
          <div>
            <p class="as" role="status">${seen ? words.seenAs(seen.as.name || seen.as.id) : !as && words.nobodyToShow}</p>
            ${people.length > 1 && html`<div class="buttons">
              <button type="button" class="button" onClick=${() => leaf(-1)}>‹ ${words.previous}</button>
              <button type="button" class="button" onClick=${() => leaf(1)}>${words.next} ›</button>
            </div>`}
          </div>
        </div>
        ${seen && html`
          <div class="preview-how">
            ${choice(words.format, [["html", words.asHTML], ["text", words.asText]], format, setFormat)}
            ${format === "html" && choice(words.width, [["desktop", words.desktop], ["phone", words.phone]], width, setWidth)}
          </div>
          <p class="preview-subject"><span class="soft">${words.subjectIs}</span> <strong>${seen.subject}</strong></p>
          ${format === "html" ? html`<${Mail} of=${seen} narrow=${width === "phone"} />` : html`<pre class="preview-text" tabindex="0" role="region" aria-label=${words.textOf}>${seen.text}</pre>`}
          <p class="hint">${words.sampleLinks}</p>
          <${Test} id=${mailing.id} as=${seen.as} />`}`}
      ${(saved.loading || (as && !seen)) && !problem && html`<${Loading} what=${words.loadingPreview} />`}
    </${Dialog}>`;
}

// Mail shows HTML in a page of no origin (preview.html), which says how tall it is.
function Mail({of, narrow}) {
  const frame = useRef();
  const [height, setHeight] = useState(320);
  // To a page of no origin nothing can be addressed more exactly than "*".
  const post = () => frame.current?.contentWindow?.postMessage({html: of.html}, "*");
  useEffect(post, [of]);
  useEffect(() => {
    const told = (event) => {
      if (event.source === frame.current?.contentWindow && Number.isFinite(event.data?.height)) setHeight(Math.min(Math.max(event.data.height, 120), 20_000));
    };
    addEventListener("message", told);
    return () => removeEventListener("message", told);
  }, []);
  return html`
    <div class="preview-frame ${narrow ? "narrow" : ""}">
      <iframe ref=${frame} src=${new URL("../preview.html", import.meta.url).href} sandbox="allow-scripts" title=${words.frame(of.subject)} style=${{height: `${height}px`}} onLoad=${post}></iframe>
    </div>`;
}

// Test mails what is seen to addresses of the settings.
function Test({id, as}) {
  const may = useMay();
  const title = useId();
  const [left, setLeft] = useState([]); // addresses that are not ticked
  const [refused, setRefused] = useState(false);
  const settings = useLoad(async (signal) => (await read("/api/organization", {}, {signal})).data, []);
  const all = settings.data?.testAddresses ?? [];
  const to = all.filter((one) => !left.includes(one));
  const task = useTask(async () => {
    await call("POST", `/api/mailings/${encodeURIComponent(id)}/test`, {body: {profile: as.id, addresses: to}});
    return to;
  });
  const [sent, setSent] = useState();
  const send = async () => {
    setSent(undefined);
    setRefused(to.length === 0);
    if (to.length > 0) setSent(await task.run());
  };
  return html`
    <section class="preview-test" aria-labelledby=${title}>
      <h3 id=${title}>${words.testTitle}</h3>
      ${settings.problem && html`<${Failed} problem=${settings.problem} retry=${settings.reload} />`}
      ${settings.data && all.length === 0 && html`
        <p>${words.noTestAddresses} ${may("edit_settings") && html`<a href=${address(["settings"])}>${words.toSettings}</a>`}</p>`}
      ${all.length > 0 && html`
        <fieldset>
          <legend class="hidden">${words.testTo}</legend>
          <div class="ticks">${all.map((one) => html`
            <${CheckField} key=${one} label=${one} value=${!left.includes(one)} onChange=${(on) => { setRefused(false); setLeft(on ? left.filter((other) => other !== one) : [...left, one]); }} />`)}</div>
          <p class="hint">${words.testHint(as.name || as.id)}</p>
        </fieldset>
        <button type="button" class="button" disabled=${task.busy} onClick=${send}>${words.sendTest}</button>
        <div role="status">${refused && html`<p class="error">${words.chooseAddress}</p>`}${sent && html`<p class="good">${words.testSent(sent)}</p>`}</div>
        ${task.problem && html`<${Failed} problem=${task.problem} />`}`}
    </section>`;
}
