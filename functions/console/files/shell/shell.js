// What stands around every view.
import {html, useEffect, useRef, useState} from "../kit/view.js";
import {away, onInterrupted, signOut} from "../api/session.js";
import {Dialog} from "../kit/dialog.js";
import {useTask} from "../kit/load.js";
import {Said, say} from "../kit/say.js";
import {Failed, Loading, Notice} from "../kit/states.js";
import {permission as permissions, role} from "../kit/terms.js";
import {QuickSearch} from "../find/quicksearch.js";
import {Me} from "./me.js";
import {address, useRoute} from "./route.js";
import {viewOf} from "./routes.js";
import {words} from "./words.js";

export function Shell({me}) {
  const route = useRoute();
  return html`
    <${Me.Provider} value=${me}>
      <a class="skip" href="#main" onClick=${skip}>${words.skip}</a>
      <${Header} me=${me} route=${route} />
      <${Line} />
      <main id="main" tabindex="-1"><${View} route=${route} me=${me} /></main>
      <${Said} />
      <${Interrupted} />
    </${Me.Provider}>`;
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function Header({me, route}) {
  const may = (permission) => me.permissions.includes(permission);
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [route.hash]);
  const links = [
    ["profiles", words.profiles, "view_profiles"],
    ["mailings", words.communication, "compose_mailings"],
    ["imports", words.imports, "edit_profiles"],
    ["activity", words.activity, "view_profiles"],
    ["settings", words.settings, "view_profiles"],
  ].filter(([, , permission]) => may(permission));
  const here = route.parts[0] ?? "profiles";
  return html`
    <header class="top">
      <div class="top-row">
        <a class="brand" href="#/profiles">${me.organization.name}</a>
        <button type="button" class="button menu-button" aria-expanded=${open ? "true" : "false"} aria-controls="menu" onClick=${() => setOpen(!open)}>${words.menu}</button>
        <div class="find" role="search">
          ${may("view_profiles") && html`<${QuickSearch} />`}
          ${may("edit_profiles") && html`<a class="button primary" href="#/profiles/new">${words.newProfile}</a>`}
        </div>
      </div>
      <div id="menu" class="menu ${open ? "open" : ""}">
        <nav aria-label=${words.main}>
          <ul>${links.map(([to, label]) => html`<li><a href=${address([to])} aria-current=${here === to ? "page" : undefined}>${label}</a></li>`)}</ul>
        </nav>
        <div class="who">
          <a href="#/me" title=${words.myPermissions}>${words.signedInAs(me.name, role[me.role] ?? me.role)}</a>
          <button type="button" class="button quiet" onClick=${signOut}>${words.signOut}</button>
        </div>
      </div>
    </header>`;
}

// View loads the view's code, and puts the keyboard on its heading when staff
// have moved on to it.
function View({route, me}) {
  const found = viewOf(route.parts);
  const [loaded, setLoaded] = useState({});
  const first = useRef(true);
  const refused = found?.permission && !me.permissions.includes(found.permission);
  const wanted = useRef();
  wanted.current = found;

  const load = () => {
    if (!found || refused) return;
    const arrived = (what) => { if (wanted.current === found) setLoaded({found, ...what}); }; // staff may have moved on
    found.load().then(
      (module) => arrived({View: module.default}),
      () => arrived({problem: new Error(words.notLoaded)}),
    );
  };
  useEffect(load, [found]);
  useEffect(() => {
    if (!loaded.problem) return undefined;
    addEventListener("online", load);
    return () => removeEventListener("online", load);
  }, [loaded.problem]);
  const page = `${route.parts[0]}/${route.parts[1]}`;
  useEffect(() => {
    if (first.current) { first.current = false; return; }
    scrollTo(0, 0);
    document.getElementById("main").focus({preventScroll: true});
  }, [page]);

  if (!found) return html`<${Nowhere} />`;
  if (refused) return html`<h1>${words.forbiddenTitle}</h1><p>${words.forbiddenText(permissions[found.permission])}</p>`;
  if (loaded.problem) return html`<h1>${words.notLoadedTitle}</h1><${Failed} problem=${loaded.problem} retry=${() => location.reload()} />`;
  if (loaded.found !== found) return html`<h1 class="hidden">${words.product}</h1><${Loading} />`;
  return html`<${loaded.View} route=${route} key=${page} />`;
}

const Nowhere = () => html`<h1>${words.nowhereTitle}</h1><p>${words.nowhereText}</p>`;

// Line says when the connection is down.
function Line() {
  const [up, set] = useState(navigator.onLine);
  useEffect(() => {
    const down = () => set(false);
    const back = () => { set(true); say(words.online); };
    addEventListener("offline", down);
    addEventListener("online", back);
    return () => { removeEventListener("offline", down); removeEventListener("online", back); };
  }, []);
  return up ? null : html`<div class="down"><${Notice} kind="warn" live><p>${words.offline}</p></${Notice}></div>`;
}

// Interrupted asks to sign in again when the sign-in has ended in the middle.
function Interrupted() {
  const [asking, setAsking] = useState();
  useEffect(() => onInterrupted(setAsking), []);
  const again = useTask(async () => {
    await asking.again();
    setAsking(undefined);
  });
  if (!asking) return null;
  const leave = () => {
    asking.leave();
    setAsking(undefined);
  };
  return html`
    <${Dialog} title=${words.interruptedTitle} cancel=${words.leave} onClose=${leave} actions=${html`
      <button type="button" class="button primary" disabled=${again.busy} onClick=${again.run}>${words.signIn}</button>`}>
      <p>${words.interruptedText}</p>
      ${again.problem && html`<${Failed} problem=${again.problem} />`}
    </${Dialog}>`;
}

export const SignedOut = () => html`
  <main class="alone">
    <h1>${words.signedOutTitle}</h1>
    <p>${words.signedOutText}</p>
    <p><button type="button" class="button primary" onClick=${away}>${words.signIn}</button></p>
  </main>`;

// useTitle names the view in the window's title and its history.
export function useTitle(view) {
  useEffect(() => { document.title = view ? words.title(view) : words.product; }, [view]);
}
