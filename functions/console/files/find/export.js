// A list of profiles as a table to keep.
import {local} from "../kit/format.js";
import {csv, save} from "../kit/save.js";
import * as terms from "../kit/terms.js";
import {words} from "./words.js";

const yes = (is) => (is ? words.yes : "");

const row = (hit) => [
  hit.id, terms.profileType[hit.type], hit.name, hit.company, hit.contact, hit.email, hit.username, terms.status[hit.status],
  terms.login[terms.loginOf(hit)], yes(hit.undeliverable), yes(hit.doNotEmail), hit.relatedTo, hit.relationship,
];

// The mark at the beginning tells spreadsheets that it is UTF-8.
export function saveProfiles(profiles) {
  const today = local(Date.now()).slice(0, 10);
  save(words.file(today), `\ufeff${csv([words.columns, ...profiles.map(row)])}`);
}
