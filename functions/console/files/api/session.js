// Who is signed in: the authorization code flow with PKCE against the
// organization's issuer (oidc-client-ts). Tokens live in this page's memory and
// nowhere else; after a reload the issuer, which still knows the person, gives
// new ones.
import {InMemoryWebStorage, UserManager, WebStorageStateStore} from "oidc-client-ts";
import {Problem, offline, problemOf} from "./problem.js";
import {words} from "./words.js";

// What the flow needs on the way to the issuer and back (state, verifier) must
// outlive this page, also in the window of signing in again. It is used once.
const underway = new WebStorageStateStore({prefix: "sign-in.", store: localStorage});
const signedOut = "signed-out"; // in sessionStorage: do not sign in again unasked

let manager;
let renewing; // one renewal at a time
let interrupted = () => {};

// begin returns true when somebody is signed in. Otherwise the page is on its
// way to the issuer, or (false) was signed out on purpose and waits.
export async function begin() {
  manager = new UserManager(await settings());
  manager.events.addSilentRenewError(() => {}); // told when the next request needs the token
  const answer = new URLSearchParams(location.search);
  if (answer.has("code") || answer.has("error")) {
    let user;
    try {
      user = await manager.signinCallback();
    } catch (error) {
      if (answer.has("error")) throw new Problem({code: "issuer", detail: words.issuerRefused(answer.get("error_description") ?? answer.get("error"))});
      return away(); // an address of the issuer's that was opened once more
    }
    if (!user) return never; // the window of signing in again, which closes itself
    history.replaceState(null, "", `/${user.state ?? ""}`);
    return true;
  }
  if (sessionStorage.getItem(signedOut)) return false;
  return away();
}

const never = new Promise(() => {});

// away goes to the issuer; the view that was asked for waits in the state.
export async function away() {
  sessionStorage.removeItem(signedOut);
  await manager.signinRedirect({state: location.hash});
  return never;
}

async function settings() {
  let response;
  try { response = await fetch("/api/sign-in"); } catch { throw offline(); }
  if (!response.ok) throw await problemOf(response);
  const {issuer, clientId} = await response.json();
  const here = `${location.origin}/`;
  return {
    authority: issuer, client_id: clientId, redirect_uri: here, post_logout_redirect_uri: here, scope: "openid",
    userStore: new WebStorageStateStore({store: new InMemoryWebStorage()}), stateStore: underway,
    automaticSilentRenew: true, monitorSession: false,
  };
}

// accessToken is good at this moment, or as good as we have.
export async function accessToken() {
  const user = await manager.getUser();
  return user && !user.expired ? user.access_token : renewed();
}

// renewed is a new access token: by the refresh token, or by the person, who is
// asked to sign in again while the page and what was typed into it stay.
export function renewed() {
  renewing ??= renew().finally(() => { renewing = undefined; });
  return renewing;
}

async function renew() {
  const before = await manager.getUser();
  if (before?.refresh_token) {
    try {
      const user = await manager.signinSilent();
      if (user) return user.access_token;
    } catch (error) {
      if (error instanceof TypeError) throw offline(); // the line, not the issuer
    }
  }
  await new Promise((done, failed) => interrupted({
    // again has to be called by a click, or the browser keeps the window shut.
    again: async () => {
      const user = await manager.signinPopup();
      if (before && user.profile.sub !== before.profile.sub) {
        await manager.removeUser();
        throw new Problem({code: "issuer", detail: words.somebodyElse});
      }
      done();
    },
    leave: () => failed(new Problem({code: "signed_out", status: 401, detail: words.gateway[401]})),
  }));
  return (await manager.getUser()).access_token;
}

// onInterrupted names who asks the person to sign in again: show({again, leave}).
export function onInterrupted(show) { interrupted = show; }

// signOut ends the session here and at the issuer. Cognito takes its own names
// for where to go afterwards.
export async function signOut() {
  sessionStorage.setItem(signedOut, "yes");
  const {client_id, post_logout_redirect_uri} = manager.settings;
  try {
    await manager.signoutRedirect({extraQueryParams: {client_id, logout_uri: post_logout_redirect_uri}});
  } catch { // an issuer without such a page
    await manager.removeUser();
    location.assign("/");
  }
}
