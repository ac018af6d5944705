// The columns of an import, and which column of a file is which of them.

// All there are, as the API names them (POST /api/profile-imports), with other
// names under which people know them, most common first, as plain() writes them.
const known = {
  "Profile ID": ["id", "memberid", "membernumber", "memberno", "membershipnumber", "membershipno", "membershipid", "profilenumber", "profileno", "contactid", "customerid", "accountid", "personid", "recordid", "profile", "number"],
  "Profile Type": ["type", "recordtype", "contacttype", "accounttype"],
  "First Name": ["first", "givenname", "forename", "christianname", "fname"],
  "Last Name": ["last", "surname", "familyname", "lname"],
  "Organization Name": ["organisationname", "company", "companyname", "organization", "organisation", "business", "businessname", "employer", "org", "orgname", "firm"],
  Email: ["emailaddress", "mail", "primaryemail", "mainemail", "workemail", "emailprimary", "mailaddress"],
  "Membership Status": ["status", "memberstatus"],
  "Member Since": ["since", "joindate", "joined", "datejoined", "joinedon", "memberfrom", "membershipstart", "startdate"],
  "Related To": ["relatedprofile", "relatedprofileid", "relatedid", "relatedtoid", "companyid", "organizationid", "organisationid", "employerid", "parentid", "parent", "memberof", "belongsto"],
  Relationship: ["relation", "relationtype", "relationshiptype", "role"],
  "Main Contact": ["primarycontact", "ismaincontact", "isprimarycontact"],
  "Can Edit": ["mayedit", "editor"],
  "Do Not Email": ["dontemail", "noemail", "emailoptout", "optout", "optedout", "unsubscribed"],
};

export const columns = Object.keys(known);
export const always = ["Profile ID", "Profile Type", "Membership Status"];
const relation = ["Related To", "Relationship"];
const ofRelation = [...relation, "Main Contact", "Can Edit"];

// plain is a name without case, accents, spaces and signs: "E-Mail " is "email".
const plain = (name) => name.normalize("NFKD").replace(/[^\p{L}\p{N}]/gu, "").toLowerCase();

// guess gives for each column of a file which of ours it becomes, "" to leave
// it out. Ours come once each: under their own name first, then others.
export function guess(header) {
  const names = header.map(plain);
  const targets = header.map(() => "");
  const find = (target, name) => {
    const at = names.findIndex((one, i) => one === name && targets[i] === "");
    if (at >= 0 && !targets.includes(target)) targets[at] = target;
  };
  for (const target of columns) find(target, plain(target));
  for (const [target, others] of Object.entries(known)) for (const name of others) find(target, name);
  return targets;
}

// lacking are the columns that must be there and are not.
export function lacking(targets) {
  const need = targets.some((target) => ofRelation.includes(target)) ? [...always, ...relation] : always;
  return need.filter((name) => !targets.includes(name));
}

// doubled are the columns that two of the file's become.
export const doubled = (targets) => [...new Set(targets.filter((target, i) => target && targets.indexOf(target) !== i))];

const place = "import.columns"; // in localStorage: [[header, targets], …], newest first
const most = 20;

function stored() {
  try { return JSON.parse(localStorage.getItem(place)) ?? []; } catch { return []; }
}

const same = (a, b) => a.length === b.length && a.every((one, i) => one === b[i]);

// recall gives {targets, remembered}: what was chosen for a file with the same
// header, or a guess.
export function recall(header) {
  const guessed = guess(header);
  const found = stored().find(([names, targets]) => same(names, header) && targets.length === header.length && targets.every((one) => one === "" || columns.includes(one)));
  if (!found || same(found[1], guessed)) return {targets: guessed, remembered: false};
  return {targets: found[1], remembered: true};
}

export function remember(header, targets) {
  const others = stored().filter(([names]) => !same(names, header));
  try { localStorage.setItem(place, JSON.stringify([[header, targets], ...others].slice(0, most))); } catch { /* full, or not allowed: then it is guessed again */ }
}
