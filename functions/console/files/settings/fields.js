// What the settings page shows, in order. kind decides about the control:
// text, number, zone, level, statuses (tick boxes), lines (a list), yes.
export const sections = [
  {id: "association", fields: [["name", "text"], ["website", "text"], ["logoUrl", "text"], ["timeZone", "zone"]]},
  {id: "help", fields: [["helpPhone", "text"], ["helpEmail", "text"], ["helpHours", "text"]]},
  {id: "mail", fields: [["senderName", "text"], ["senderAddress", "text"], ["replyTo", "text"], ["testAddresses", "lines"]]},
  {id: "portal", fields: [["portalAddress", "text"]]},
  {id: "access", fields: [["accessLevel", "level"], ["memberStatuses", "statuses"], ["primaryKinds", "lines"]]},
  {id: "passwords", fields: [["minimumPassword", "number"], ["staffMayTypePasswords", "yes"], ["mustChangeTyped", "yes"]]},
  {id: "links", fields: [["linkHours", "number"], ["sessionHours", "number"], ["keepSignedInDays", "number"]]},
];

const kinds = new Map(sections.flatMap(({fields}) => fields));

// onWhom are the settings that decide who may sign in (H20).
export const onWhom = ["accessLevel", "memberStatuses", "primaryKinds"];

const empty = {text: "", zone: "", level: "", number: 0, yes: false, statuses: [], lines: []};

// valueOf a setting; the API leaves out empty texts.
export const valueOf = (settings, name) => settings[name] ?? empty[kinds.get(name)];

export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// typedOf is what a control holds for a value, and back: a list is a text with
// a line for each, a number a text that may be half typed.
export function typedOf(name, value) {
  switch (kinds.get(name)) {
    case "lines": return value.join("\n");
    case "number": return String(value);
    default: return value;
  }
}
export function readTyped(name, typed) {
  switch (kinds.get(name)) {
    case "lines": return typed.split("\n").map((line) => line.trim()).filter(Boolean);
    case "number": return /^\d+$/.test(typed.trim()) ? Number(typed) : typed; // not a number: the API says so
    default: return typed;
  }
}
