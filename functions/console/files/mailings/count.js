// How many a mailing goes to: the frozen audience, its numbers while they grow,
// and who is left out and why.
import {html, useCallback, useEffect, useId, useRef, useState} from "../kit/view.js";
import {call, read} from "../api/client.js";
import {number, time} from "../kit/format.js";
import {useLoad, usePoll, useTask} from "../kit/load.js";
import {Failed, Loading, Notice} from "../kit/states.js";
import {skipReason} from "../kit/terms.js";
import {address} from "../shell/route.js";
import {words} from "./words.js";

const path = (id) => `/api/mailings/${encodeURIComponent(id)}`;

export const leftOut = (audience) => Object.values(audience?.skipped ?? {}).reduce((sum, n) => sum + n, 0);
export const mailed = (audience) => audience.profiles - leftOut(audience);

// useAudience follows the count of a draft. of is its API form, or undefined;
// stale says that it was counted, and something has changed since; known that it
// is what the API has, and good that it can be sent.
export function useAudience(draft) {
  const {id} = draft.mailing;
  const [of, setOf] = useState();
  const [problem, setProblem] = useState();
  const counted = useRef(false);
  const look = useCallback(async () => {
    try {
      const {data} = await read(`${path(id)}/audience`);
      if (data.state === "ready") counted.current = true;
      setOf(data);
      setProblem(undefined);
    } catch (failed) {
      setProblem(failed);
      throw failed;
    }
  }, [id]);
  // Every save discards the count.
  useEffect(() => { look().catch(() => {}); }, [draft.version]);
  usePoll(look, 700, of?.state === "counting");
  const start = useTask(async () => {
    if (!await draft.flush()) throw draft.problem ?? new Error(words.justTyped);
    const {data} = await call("POST", `${path(id)}/audience`);
    counted.current = true;
    setOf(data);
    setProblem(undefined);
  });
  const state = of?.state ?? "none";
  const stale = counted.current && (state === "none" || draft.unsaved);
  return {of, state, stale, good: state === "ready" && !draft.unsaved, problem, look, start};
}

// Count is the card with the numbers. waiting: nobody is chosen yet.
export function Count({draft, audience, waiting = false}) {
  const {of, state, stale, start} = audience;
  const title = useId();
  const ready = draft.mailing.complete || draft.unsaved; // what was typed last is saved first
  const button = (label, kind = "") => html`<button type="button" class="button ${kind}" disabled=${start.busy || waiting || !ready} onClick=${start.run}>${label}</button>`;
  return html`
    <section class="card" aria-labelledby=${title}>
      <h2 id=${title}>${words.numbers}</h2>
      ${stale && html`<${Notice} kind="warn" live><p>${words.stale}</p></${Notice}>`}
      ${state === "none" && !stale && html`<p>${words.notCounted}</p>`}
      ${state === "counting" && html`<p role="status">${words.counting(of.profiles)}</p><progress aria-label=${words.numbers}></progress>`}
      ${state !== "none" && html`<${Numbers} of=${of} />`}
      ${state === "ready" && !stale && of.mails === 0 && html`<${Notice} kind="warn"><p>${of.profiles === 0 ? words.nobodyThere : words.nobodyMailed}</p></${Notice}>`}
      ${!ready && html`<p>${words.incomplete} <a href=${address(["mailings", draft.mailing.id, "message"])}>${words.toMessage}</a></p>`}
      ${start.problem && html`
        <${Failed} problem=${start.problem}>${start.problem.code === "message_incomplete" && html`<p><a href=${address(["mailings", draft.mailing.id, "message"])}>${words.toMessage}</a></p>`}</${Failed}>`}
      ${audience.problem && html`<${Failed} problem=${audience.problem} retry=${() => audience.look().catch(() => {})} />`}
      <p class="buttons">${button(state === "none" && !stale ? words.countRecipients : words.countAgain, state === "none" || stale ? "primary" : "")}</p>
      ${state === "ready" && !draft.unsaved && leftOut(of) > 0 && html`<${Skipped} key=${of.version} id=${draft.mailing.id} of=${of} />`}
    </section>`;
}

const Numbers = ({of}) => html`
  <dl class="tallies">
    <div><dt>${words.mailsLabel}</dt><dd>${number(of.mails)}</dd></div>
    <div><dt>${words.peopleLabel}</dt><dd>${number(mailed(of))}</dd></div>
    <div><dt>${words.skippedLabel}</dt><dd>${number(leftOut(of))}</dd></div>
  </dl>
  <p class="small soft">${of.state === "ready" ? `${words.countedAt(time(of.at))}. ` : ""}${of.mails < mailed(of) ? words.sharedNote : ""}</p>`;

const page = 50; // shown at once, of a reason

// Skipped lists those who are left out, by reason. The API lists them together,
// so they are read in pages until there are enough of the reason asked for.
function Skipped({id, of}) {
  const walk = useRef({rows: [], cursor: undefined, ended: false});
  const reading = useRef(Promise.resolve());
  const until = (reason, n, signal) => {
    const go = async () => {
      const {current} = walk;
      while (!current.ended && current.rows.filter((row) => row.reason === reason).length < n) {
        signal?.throwIfAborted();
        const {data} = await read(`${path(id)}/recipients`, {outcome: "skipped", limit: 500, cursor: current.cursor});
        current.rows.push(...data.recipients);
        current.cursor = data.cursor;
        current.ended = !data.cursor;
      }
      return current.rows.filter((row) => row.reason === reason).slice(0, n);
    };
    reading.current = reading.current.then(go, go);
    return reading.current;
  };
  const reasons = Object.entries(of.skipped).filter(([, n]) => n > 0).sort(([, a], [, b]) => b - a);
  return html`
    <h3>${words.whySkipped}</h3>
    ${reasons.map(([reason, n]) => html`<${Reason} key=${reason} reason=${reason} n=${n} until=${until} />`)}`;
}

function Reason({reason, n, until}) {
  const [open, setOpen] = useState(false);
  return html`
    <details class="reason" open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
      <summary>${words.skippedOf(skipReason[reason] ?? reason, n)}</summary>
      ${open && html`<${Those} reason=${reason} n=${n} until=${until} />`}
    </details>`;
}

// tabOf is where in a profile the reason is mended.
const tabOf = {not_allowed: "credentials", disabled: "credentials", has_password: "credentials"};

function Those({reason, n, until}) {
  const [wanted, setWanted] = useState(page);
  const rows = useLoad((signal) => until(reason, wanted, signal), [reason]);
  useEffect(() => { if (wanted > page) rows.reload(); }, [wanted]);
  return html`
    ${words.fix[reason] && html`<p class="small">${words.fix[reason]}</p>`}
    ${rows.problem && html`<${Failed} problem=${rows.problem} retry=${rows.reload} />`}
    ${!rows.data && rows.loading && html`<${Loading} what=${words.loadingSkipped} />`}
    <ul class="picked">${(rows.data ?? []).map((row) => html`
      <li key=${row.profile}>
        <span>
          ${row.name ? html`<a href=${address(["profiles", row.profile, tabOf[reason] ?? "general"])}>${row.name}</a>` : row.profile}${" "}
          <span class="small soft">${[row.profile, row.address].filter(Boolean).join(" · ")}</span>
          ${row.mainContact && html` <span class="small">${words.mainContact(row.mainContact.name)} <a href=${address(["profiles", row.mainContact.id])}>${row.mainContact.id}</a></span>`}
        </span>
      </li>`)}
    </ul>
    ${rows.data && rows.data.length < n && rows.data.length >= wanted && html`
      <p><button type="button" class="button" disabled=${rows.loading} onClick=${() => setWanted(wanted + page)}>${words.showMore(Math.min(page, n - rows.data.length))}</button></p>`}`;
}
