// What staff have typed of a profile, over what is stored of it.
//
//   stored   the fields as they were read last, base the whole profile
//   typed    those that were touched since
//   errors   why the API refused a field, by its name; of a relation
//            "relations.KEY.kind", for rows move
//   reads    how often it was read or saved
//   clashes  fields that somebody else has changed, too: {was, theirs, mine, choice}
import {useRef, useState} from "../kit/view.js";

export const fields = ["type", "firstName", "lastName", "organizationName", "email", "doNotEmail", "status", "memberSince", "relations"];

// tabOf says on which tab a field, or an error, is to be seen.
export const tabOf = (name) => (name.startsWith("relations") ? "related" : "general");

const contentOf = (profile) => ({
  ...Object.fromEntries(fields.map((name) => [name, profile[name]])),
  relations: profile.relations.map((relation, i) => ({...relation, key: `stored${i}`})),
});

// sent is a value as the API takes it.
const sent = (name, value) => (name !== "relations" ? value
  : value.map(({to, kind, mainContact, canEdit}) => ({to, kind, mainContact: Boolean(mainContact), canEdit: Boolean(canEdit)})));

const same = (name, a, b) => JSON.stringify(sent(name, a)) === JSON.stringify(sent(name, b));

// alike overlooks what storing does to a value.
function alike(name, a, b) {
  const plain = (value) => JSON.stringify(sent(name, value), (_, v) => (typeof v === "string" ? v.normalize("NFC").trim() : v));
  return name === "email" ? plain(a).toLowerCase() === plain(b).toLowerCase() : plain(a) === plain(b);
}

// changesOf are the typed fields that differ from what is stored.
const changesOf = ({stored, typed}) => Object.fromEntries(Object.entries(typed).filter(([name, value]) => !same(name, value, stored[name])));

export const bodyOf = (changes) => Object.fromEntries(Object.entries(changes).map(([name, value]) => [name, sent(name, value)]));

// holds says whether a profile has all that was sent.
export const holds = (profile, changes) => Object.entries(changes).every(([name, value]) => alike(name, profile[name], value));

const none = {errors: {}, clashes: {}};

export function useDraft(profile) {
  const [state, show] = useState(() => ({base: profile, stored: contentOf(profile), typed: {}, news: [], reads: 1, ...none}));
  // What runs for seconds, such as saving, has to see what was typed meanwhile.
  const now = useRef(state);
  const update = (change) => show(now.current = {...now.current, ...change});
  const values = {...state.stored, ...state.typed};

  return {
    ...state, values,
    changes: changesOf(state),
    latest: () => ({...now.current, changes: changesOf(now.current)}),

    // set takes what was typed into a field; key is the relation it belongs to.
    set(name, value, key) {
      const {typed, errors, clashes} = now.current;
      const about = key ? `${name}.${key}.` : name;
      update({
        typed: {...typed, [name]: value},
        errors: Object.fromEntries(Object.entries(errors).filter(([of]) => of !== name && !of.startsWith(about))),
        clashes: clashes[name] ? {...clashes, [name]: {...clashes[name], mine: value, choice: "mine"}} : clashes,
      });
    },

    // choose settles a clash; until it is saved, staff may choose the other way.
    choose(name, choice) {
      const {typed, clashes} = now.current;
      update({typed: {...typed, [name]: clashes[name][choice]}, clashes: {...clashes, [name]: {...clashes[name], choice}}});
    },

    // refuse puts a problem's reasons beside their fields, and returns those
    // that belong to none.
    refuse(problem) {
      const {relations} = {...now.current.stored, ...now.current.typed};
      const errors = {};
      const others = [];
      for (const [field, reasons] of Object.entries(problem.byField)) {
        const row = field.match(/^relations\[(\d+)\]\.(\w+)$/);
        const name = row && relations[row[1]] ? `relations.${relations[row[1]].key}.${row[2]}` : field === "usernameToo" ? "email" : field;
        if (row || fields.includes(name)) errors[name] = [...(errors[name] ?? []), ...reasons];
        else others.push(...reasons);
      }
      update({errors});
      return others;
    },

    refuseOne(name, reason) { update({errors: {...now.current.errors, [name]: [reason]}}); },

    // adopt takes the profile as it was stored with the changes that were sent;
    // what was typed since stays.
    adopt(profile, changes) {
      const {typed, reads} = now.current;
      update({
        ...none, base: profile, stored: contentOf(profile), reads: reads + 1,
        typed: Object.fromEntries(Object.entries(typed).filter(([name, value]) => !(name in changes && same(name, value, changes[name])))),
      });
    },

    // merge takes a profile that was read anew. What nobody else touched stays
    // as it was typed; where both did, staff have to choose. It returns whether
    // they have to.
    merge(profile) {
      const {stored, typed, reads, clashes: before, news: told} = now.current;
      const next = contentOf(profile);
      const mine = changesOf(now.current);
      const kept = {};
      const clashes = {};
      const news = [...told];
      for (const name of fields) {
        const moved = !same(name, stored[name], next[name]);
        const touched = name in mine;
        if (moved && touched && same(name, mine[name], next[name])) continue; // they did the same
        if (moved && touched) clashes[name] = {was: stored[name], theirs: next[name], mine: mine[name]};
        else if (moved) news.push({name, was: stored[name], theirs: next[name]});
        else if (before[name]) clashes[name] = before[name];
        if (touched || clashes[name]) kept[name] = typed[name];
      }
      update({base: profile, stored: next, typed: kept, clashes, news, reads: reads + 1});
      return open(clashes).length > 0;
    },

    // settle closes the clashes in which nothing of ours is left.
    settle() { update({clashes: {}}); },

    clearNews() { update({news: []}); },
  };
}

// open are the clashes in which nobody has chosen yet.
export const open = (clashes) => Object.keys(clashes).filter((name) => !clashes[name].choice);
