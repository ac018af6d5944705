// A line of the audit trail in words.
import {activity, actorKind, right, undeliverable} from "../kit/terms.js";
import {html} from "../kit/view.js";
import {labelOf, told} from "../profile/values.js";
import {address} from "../shell/route.js";
import {words} from "./words.js";

export const kindOf = (entry) => activity[entry.kind] ?? entry.kind.replaceAll("_", " ");

export const actorOf = ({actor}) => actor.name || (actor.kind === "staff" ? actor.id : `${actorKind[actor.kind] ?? actor.kind} ${actor.id}`);

// detailsOf an entry in lines: old and new content side by side, codes in words.
export function detailsOf({kind, detail = {}}) {
  const lines = [];
  const rest = {...detail};
  const take = (name) => {
    const value = rest[name];
    delete rest[name];
    return value;
  };
  const pair = (label, before, after) => {
    if (before && after) lines.push(words.oldNew(label, before, after));
    else if (after) lines.push(words.newOnly(label, after));
    else if (before) lines.push(words.oldOnly(label, before));
  };
  const paired = Object.keys(detail).filter((name) => name.startsWith("new.")).map((name) => name.slice(4));
  const named = (take("fields") ?? "").split(", ").filter((field) => field && !paired.includes(field));
  if (named.length > 0) lines.push(words.changedFields(named.map(labelOf)));
  for (const field of paired) pair(labelOf(field), stored(field, take(`old.${field}`)), stored(field, take(`new.${field}`)));
  pair(kind === "email_changed" ? words.address : words.username, take("old"), take("new"));
  const reason = take("reason");
  if (reason) lines.push(words.because(right[reason] ?? words.reason[reason] ?? undeliverable[reason] ?? reason));
  const by = take("by");
  if (by) lines.push(words.by[by] ?? by);
  for (const [name, label] of [["toMainContact", words.toMainContact], ["from", words.switchedFrom], ["to", words.switchedTo]]) {
    const id = take(name);
    if (id) lines.push(html`${label}: <a href=${address(["profiles", id])}>${id}</a>`);
  }
  for (const field of ["type", "status"]) if (rest[field]) lines.push(words.newOnly(labelOf(field), told(field, take(field))));
  for (const [name, value] of Object.entries(rest)) lines.push(words.newOnly(words.part[name] ?? name.replaceAll("_", " "), value));
  return lines;
}

// stored is a field's content as the trail keeps it, in words.
function stored(field, text) {
  if (field === "relations") return text || words.nothing; // is in words already
  return told(field, field === "doNotEmail" ? text === "true" : text);
}
