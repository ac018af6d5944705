// A mailing that waits for its time. It is shown as it will go out; to change
// it, the schedule is cancelled first, so that nothing half-written is sent.
import {html, useEffect, useState} from "../kit/view.js";
import {call, read} from "../api/client.js";
import {Dialog} from "../kit/dialog.js";
import {time} from "../kit/format.js";
import {useLoad, usePoll, useTask} from "../kit/load.js";
import {say} from "../kit/say.js";
import {Badge, Failed, Notice} from "../kit/states.js";
import {mailingKind, mailingState} from "../kit/terms.js";
import {useMay} from "../shell/me.js";
import {address} from "../shell/route.js";
import {useTitle} from "../shell/shell.js";
import {mailed} from "./count.js";
import {describe} from "./filter.js";
import {Preview} from "./preview.js";
import {words} from "./words.js";

const look = 10_000; // ms between looks whether it has begun

// Scheduled calls moved(mailing) when it has begun, or is a draft again.
export function Scheduled({mailing, moved}) {
  const may = useMay();
  const [asking, setAsking] = useState(false);
  const [previewing, setPreviewing] = useState(false);
  const path = `/api/mailings/${encodeURIComponent(mailing.id)}`;
  useTitle(mailing.subject);
  const audience = useLoad(async (signal) => (await read(`${path}/audience`, {}, {signal})).data, [mailing.id]);
  usePoll(async () => {
    const {data} = await read(path);
    if (data.state !== "scheduled" || data.sendAt !== mailing.sendAt) moved(data);
  }, look);
  useEffect(() => { document.querySelector("h1")?.focus({preventScroll: true}); }, []);
  const cancel = useTask(async () => {
    const {data} = await call("POST", `${path}/cancel`);
    if (data.state === "draft") say(words.unscheduled);
    moved(data);
  });
  const of = audience.data;
  return html`
    <p class="small back"><a href=${address(["mailings"])}>‹ ${words.back}</a></p>
    <div class="head">
      <h1 tabindex="-1">${mailing.subject}</h1>
      <${Badge} kind=${mailingKind.scheduled}>${mailingState.scheduled}</${Badge}>
      <div class="buttons">
        <button type="button" class="button" onClick=${() => setPreviewing(true)}>${words.previewAndTest}</button>
        ${may("send_mailings") && html`<button type="button" class="button danger" onClick=${() => setAsking(true)}>${words.cancelSchedule}</button>`}
      </div>
    </div>
    <${Notice} title=${words.scheduledTitle(time(mailing.sendAt))}><p>${words.scheduledText(time(mailing.sendAt), mailing.sentBy)}</p></${Notice}>
    <section class="card">
      <dl class="facts">
        <dt>${words.checkRecipients}</dt><dd>${describe(mailing.audience)}</dd>
        <dt>${words.checkNumbers}</dt><dd>${of?.state === "ready" ? `${words.numbersAre(of, of.profiles - mailed(of))}. ${words.countedAt(time(of.at))}.` : ""}</dd>
      </dl>
      ${audience.problem && html`<${Failed} problem=${audience.problem} retry=${audience.reload} />`}
    </section>
    ${previewing && html`<${Preview} mailing=${mailing} onClose=${() => setPreviewing(false)} />`}
    ${asking && html`
      <${Dialog} title=${words.cancelTitle} cancel=${words.keepSchedule} busy=${cancel.busy} onClose=${() => setAsking(false)} actions=${html`
        <button type="button" class="button danger" disabled=${cancel.busy} onClick=${cancel.run}>${words.cancelYes}</button>`}>
        <p>${words.cancelText}</p>
        ${cancel.problem && html`<${Failed} problem=${cancel.problem} />`}
      </${Dialog}>`}`;
}
