// Edit Profile: the tabs, and the one Save Profile for all of them.
import {read} from "../api/client.js";
import {ask} from "../kit/dialog.js";
import {Tabs} from "../kit/tabs.js";
import {html, useEffect, useLayoutEffect, useRef} from "../kit/view.js";
import {useMay} from "../shell/me.js";
import {address, go, useGuard} from "../shell/route.js";
import {Activity} from "./activity.js";
import {CredentialsTab, useCredentials} from "./credentials.js";
import {tabOf} from "./draft.js";
import {Effects} from "./effects.js";
import {General} from "./general.js";
import {Clashes, Messages, News} from "./messages.js";
import {Related} from "./related.js";
import {useSave} from "./save.js";
import {words} from "./words.js";

export const tabs = ["general", "related", "credentials", "activity"];

export function Edit({path, draft, tab, hidden, onUnsaved}) {
  const may = useMay();
  const mayEdit = may("edit_profiles");
  const {base, changes, errors, clashes} = draft;
  const edited = Object.keys(changes).length > 0;

  // Something in the credentials' tab changed the profile.
  const onChanged = async () => {
    try {
      draft.merge((await read(path)).data);
    } catch (problem) {
      if (!problem.code) throw problem;
      // What is shown is old then; saving finds out, as after anybody's change.
    }
  };
  const credentials = useCredentials(base, {onChanged});
  const saving = useSave(path, draft, credentials);

  const unsaved = tabs.filter((of) => (of === "credentials" ? credentials.unsaved : Object.keys(changes).some((name) => tabOf(name) === of)));
  const bad = tabs.filter((of) => (of === "credentials" ? credentials.refused : Object.keys(errors).some((name) => tabOf(name) === of)));
  const torn = tabs.filter((of) => Object.keys(clashes).some((name) => tabOf(name) === of));
  const named = unsaved.map((of) => words[of]);
  useEffect(() => onUnsaved(named), [named.join()]);
  useGuard(unsaved.length > 0, async () => Boolean(await ask({
    title: words.leaveTitle, text: words.leaveText(named), cancel: words.stay,
    answers: [{value: true, label: words.leave, kind: "danger"}],
  })), (parts) => parts[0] === "profiles" && parts[1] === base.id);

  // A tab that was looked at stays as it was left: a date half typed, too.
  const visited = useRef(new Set());
  visited.current.add(tab);

  const place = useRef();
  const save = async () => {
    // A date that is half typed has no value yet, and would be left out.
    if ([...place.current.querySelectorAll("input[type=date]")].some((input) => input.validity.badInput)) {
      draft.refuseOne("memberSince", words.dateUnfinished);
      turn(["general"]);
      return;
    }
    await saving.save();
  };

  // turn shows the first tab that has something to be looked at, unless this
  // one has, and puts the keyboard there.
  const turn = (wanted) => {
    if (wanted.length > 0 && !wanted.includes(tab)) go(["profiles", base.id, wanted[0]]);
    setTimeout(() => {
      const refused = [...place.current.querySelectorAll("[aria-invalid=true]")].find((el) => el.checkVisibility());
      refused?.focus();
    });
  };
  const {message} = saving;
  const busy = saving.busy && !saving.asking;
  useEffect(() => {
    if (message?.kind === "refused") turn(bad);
    else if (message?.kind === "half" || message?.kind === "credentials") turn(["credentials"]);
    else if (message?.kind === "choose") place.current.querySelector(".clashes h2")?.focus();
  }, [message]);

  // What is said of the credentials ends with them: by Cancel, say.
  useLayoutEffect(() => {
    if (!credentials.unsaved && (message?.kind === "half" || message?.kind === "credentials")) saving.clear();
  }, [credentials.unsaved, message]);

  const form = tab === "general" || tab === "related" ? "profile-fields" : undefined;
  const submit = (event) => {
    event.preventDefault();
    save();
  };
  const mark = (of) => (bad.includes(of) ? words.refusedMark : torn.includes(of) ? words.chooseMark : unsaved.includes(of) ? words.unsaved : undefined);
  const kept = (of, view) => visited.current.has(of) && html`<div hidden=${tab !== of}>${view()}</div>`;

  return html`
    <div hidden=${hidden} ref=${place}>
      <div class="head profile-head">
        ${!hidden && html`<h1 tabindex="-1">${base.name} <span class="soft">${base.id}</span></h1>`}
        <a class="button" href=${address(["profiles", base.id])}>${words.close}</a>
        ${(mayEdit || may("set_passwords")) && html`
          <button type=${form ? "submit" : "button"} form=${form} class="button primary" aria-disabled=${busy ? "true" : undefined}
            onClick=${form ? undefined : save}>${busy ? words.saving : words.save}</button>`}
      </div>
      <${Messages} saving=${saving} tabs=${bad.map((of) => words[of])} heldBack=${credentials.unsaved} />
      <${Clashes} clashes=${clashes} choose=${draft.choose} missing=${message?.kind === "choose" && message.pressed} />
      <${News} news=${draft.news} done=${draft.clearNews} />
      <div class="beside">
        <${Tabs} label=${words.tabs} vertical current=${tab}
          tabs=${tabs.map((of) => ({id: of, label: words[of], href: address(["profiles", base.id, of]), mark: mark(of), bad: bad.includes(of)}))} />
        <div>
          <form id="profile-fields" novalidate onSubmit=${submit}>
            ${kept("general", () => html`<${General} path=${path} draft=${draft} readOnly=${!mayEdit} />`)}
            ${kept("related", () => html`<${Related} path=${path} draft=${draft} readOnly=${!mayEdit} />`)}
          </form>
          ${tab === "credentials" && html`<${CredentialsTab} c=${credentials} profile=${base} edited=${edited} />`}
          ${tab === "activity" && html`<${Activity} path=${path} profile=${base} reads=${draft.reads} />`}
        </div>
      </div>
      ${saving.asking && html`<${Effects} before=${base} stored=${draft.stored} logins=${credentials.unsaved} ...${saving.asking} />`}
    </div>`;
}
