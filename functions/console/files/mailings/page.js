// One mailing: composing it, waiting for its time, or the report of how it was
// sent. Which of them, its state decides.
import {html, useEffect, useLayoutEffect, useRef, useState} from "../kit/view.js";
import {call, newKey, read} from "../api/client.js";
import {useLoad, useTask} from "../kit/load.js";
import {Failed, Loaded, Loading} from "../kit/states.js";
import {go} from "../shell/route.js";
import {useTitle} from "../shell/shell.js";
import {Composer, tabs} from "./composer.js";
import {fromParams, usual} from "./filter.js";
import {Scheduled} from "./scheduled.js";
import {words} from "./words.js";

export default function Page({route}) {
  const id = route.parts[1];
  return id === "new" ? html`<${New} params=${route.params} />` : html`<${One} id=${id} route=${route} />`;
}

// New makes the draft, for those that another view has chosen, and goes to it.
function New({params}) {
  useTitle(words.title);
  const key = useRef(newKey());
  const make = useTask(async () => {
    const chosen = [...params.keys()].some((name) => name !== "template");
    const body = {audience: chosen ? fromParams(params) : usual};
    const template = params.get("template");
    if (template) {
      const {data} = await read(`/api/templates/${encodeURIComponent(template)}`);
      Object.assign(body, {subject: data.subject, html: data.html});
    }
    const {data} = await call("POST", "/api/mailings", {body, key: key.current});
    if (here.current) go(["mailings", data.id, "message"], {}, {replace: true}); // staff may have moved on
  });
  const here = useRef(true);
  useEffect(() => { make.run(); }, []);
  useLayoutEffect(() => () => { here.current = false; }, []);
  return html`
    <h1>${words.title}</h1>
    ${make.problem ? html`<${Failed} problem=${make.problem} retry=${make.run} />` : html`<${Loading} what=${words.creating} />`}`;
}

function One({id, route}) {
  const mailing = useLoad(async (signal) => (await read(`/api/mailings/${encodeURIComponent(id)}`, {}, {signal})).data, [id]);
  // The tabs are those of a draft.
  const moved = (now) => {
    mailing.set(now);
    if (tabs.includes(route.parts[2]) && now.state !== "draft") go(["mailings", id], {}, {replace: true});
  };
  return html`
    ${!mailing.data && html`<${Title} />`}
    <${Loaded} of=${mailing} what=${words.loading}>${(data) => {
      if (data.state === "draft") return html`<${Composer} mailing=${data} route=${route} moved=${moved} />`;
      if (data.state === "scheduled") return html`<${Scheduled} mailing=${data} moved=${moved} />`;
      return html`<${Sent} mailing=${data} reload=${mailing.reload} route=${route} />`;
    }}</${Loaded}>`;
}

function Title() {
  useTitle(words.title);
  return html`<h1>${words.title}</h1>`;
}

function Sent(props) {
  const [view, setView] = useState({});
  const load = () => {
    setView({});
    import("./report.js").then((module) => setView({Report: module.default}), () => setView({problem: new Error(words.noReport)}));
  };
  useEffect(load, []);
  if (view.problem) return html`<h1>${props.mailing.subject}</h1><${Failed} problem=${view.problem} retry=${load} />`;
  return view.Report ? html`<${view.Report} ...${props} />` : html`<${Loading} what=${words.loading} />`;
}
