// The address of a view is the part behind the #: it never leaves the browser,
// so what staff look for stands in no access log.
//
//   #/profiles?status=active&search=gar   parts: ["profiles"], params
//   #/profiles/1042/credentials           parts: ["profiles", "1042", "credentials"]
import {useEffect, useLayoutEffect, useState} from "../kit/view.js";

const guards = new Set(); // of views with unsaved changes
let current = parse();
let leaving = false; // a guard is asking
const watchers = new Set();

function parse() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return {hash: location.hash, parts: path.split("/").filter(Boolean).map(decode), params: new URLSearchParams(query)};
}

function decode(part) {
  try { return decodeURIComponent(part); } catch { return part; }
}

// address makes a link's href from parts and params; empty params are left out.
export function address(parts, params = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const one of [value].flat()) if (one !== undefined && one !== null && one !== "") query.append(name, one);
  }
  const text = query.toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}

// go opens a view, as a click on its link would; replace leaves no way back to
// this one, and asks no guard.
export function go(parts, params, {replace = false} = {}) {
  const hash = address(parts, params);
  if (!replace) { location.hash = hash; return; }
  if (location.hash !== current.hash) return; // staff are on their way to another view already
  history.replaceState(null, "", hash);
  current = parse();
  watchers.forEach((watch) => watch(current));
}

export function useRoute() {
  // Signing in has put the address back since this module was loaded.
  const [route, set] = useState(() => (current = parse()));
  useEffect(() => {
    watchers.add(set);
    set(current);
    return () => watchers.delete(set);
  }, []);
  return route;
}

// useGuard keeps the view while it has unsaved changes: ask() resolves to true
// when it may be left. within(parts) says which addresses belong to the view.
export function useGuard(unsaved, ask, within = () => false) {
  useLayoutEffect(() => { // before anything else can happen
    if (!unsaved) return;
    const guard = {ask, within};
    const stay = (event) => event.preventDefault();
    guards.add(guard);
    addEventListener("beforeunload", stay);
    return () => { guards.delete(guard); removeEventListener("beforeunload", stay); };
  });
}

addEventListener("hashchange", async () => {
  const wanted = parse();
  if (wanted.hash === current.hash) return;
  const asking = [...guards].filter((guard) => !guard.within(wanted.parts));
  if (asking.length > 0) {
    history.replaceState(null, "", current.hash || "#/"); // stay until it is settled
    if (leaving) return;
    leaving = true;
    try {
      for (const guard of asking) {
        if (!await guard.ask()) return;
        guards.delete(guard);
      }
    } finally { leaving = false; }
    history.pushState(null, "", wanted.hash);
  }
  current = wanted;
  watchers.forEach((watch) => watch(current));
});
