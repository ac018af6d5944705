// The staff console. It uses the API of infra/openapi.yaml and nothing else.
//
//   api/        sign-in, requests, problems
//   shell/      what stands around every view: header, quick search, routes
//   kit/        what views are made of: fields, tables, windows, words of the field
//   find/       quick search, Profile Selector, new profile
//   profile/    one profile: General, Related profiles, Web Portal Credentials, Activity
//   imports/ mailings/ settings/ activity/
//
// A folder's words.js holds every text of its views.
import {html, render} from "./kit/view.js";
import {begin} from "./api/session.js";
import {read} from "./api/client.js";
import {useZone} from "./kit/format.js";
import {Failed} from "./kit/states.js";
import {Shell, SignedOut} from "./shell/shell.js";

const place = document.getElementById("app");

async function start() {
  try {
    if (!await begin()) {
      show(html`<${SignedOut} />`);
      return;
    }
    const {data: me} = await read("/api/me");
    useZone(me.organization.timeZone);
    show(html`<${Shell} me=${me} />`);
  } catch (problem) {
    show(html`<main class="alone"><h1>Memberkey</h1><${Failed} problem=${problem} retry=${() => location.assign("/")} /></main>`);
  }
}

function show(view) {
  place.replaceChildren();
  render(view, place);
}

start();
