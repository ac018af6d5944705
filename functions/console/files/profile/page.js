// One profile: read-only at a glance (#/profiles/1042), and its tabs
// (#/profiles/1042/general, related, credentials, activity).
import {read} from "../api/client.js";
import {useLoad} from "../kit/load.js";
import {Failed, Loading} from "../kit/states.js";
import {html, useEffect, useLayoutEffect, useRef, useState} from "../kit/view.js";
import {useTitle} from "../shell/shell.js";
import {useDraft} from "./draft.js";
import {Edit, tabs} from "./edit.js";
import {Glance} from "./glance.js";
import {words} from "./words.js";

export default function ProfilePage({route}) {
  const id = route.parts[1];
  const path = `/api/profiles/${encodeURIComponent(id)}`;
  const {data, problem, reload} = useLoad(async (signal) => (await read(path, {}, {signal})).data, [path]);
  const tab = route.parts[2] && (tabs.includes(route.parts[2]) ? route.parts[2] : tabs[0]);
  useTitle(data?.name ?? words.profile(id));
  if (data) return html`<${Profile} path=${path} profile=${data} tab=${tab} />`;
  return html`
    <h1>${words.profile(id)}</h1>
    ${problem ? html`<${Failed} problem=${problem} retry=${problem.status === 404 ? undefined : reload} />` : html`<${Loading} what=${words.loading} />`}`;
}

// Once opened, the tabs live on behind the glance, so that nothing typed is
// lost by a look at it.
function Profile({path, profile, tab}) {
  const draft = useDraft(profile);
  const editing = Boolean(tab);
  const [last, setLast] = useState(tab);
  const [unsaved, setUnsaved] = useState([]); // names of tabs
  useEffect(() => { if (tab) setLast(tab); }, [tab]);

  // The link that was pressed is gone: the keyboard goes to the heading.
  const first = useRef(true);
  useLayoutEffect(() => {
    if (first.current) { first.current = false; return; }
    scrollTo(0, 0);
    document.querySelector("main h1")?.focus({preventScroll: true});
  }, [editing]);

  return html`
    ${!editing && html`<${Glance} profile=${draft.base} unsaved=${unsaved} last=${last} />`}
    ${(last ?? tab) && html`<${Edit} path=${path} draft=${draft} tab=${tab ?? last} hidden=${!editing} onUnsaved=${setUnsaved} />`}`;
}
