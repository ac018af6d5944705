// How a test finds things: as a person does, by what can be read. The tests
// evaluate this file's function in the page; it returns a value of its own.
(kind, name, nth) => {
  const squeeze = (text) => (text ?? "").replace(/\s+/g, " ").trim();
  const shown = (el) => {
    if (!el.checkVisibility({opacityProperty: true, visibilityProperty: true})) return false;
    const box = el.getBoundingClientRect();
    return box.width > 0 && box.height > 0;
  };
  // An open modal window is all that can be reached.
  const modals = [...document.querySelectorAll("dialog[open]")].filter((el) => el.matches(":modal"));
  const scope = modals.at(-1) ?? document.body;
  const all = (selector) => [...scope.querySelectorAll(selector)].filter(shown);
  const byId = (ids) => (ids ?? "").split(/\s+/).filter(Boolean).map((id) => document.getElementById(id)?.textContent).join(" ");
  const label = (el) => squeeze(
    el.getAttribute("aria-label") || byId(el.getAttribute("aria-labelledby"))
    || [...(el.labels ?? [])].map((l) => l.textContent).join(" ") || el.textContent || el.title || el.value);
  const fits = (text) => {
    if (name.startsWith("/")) return new RegExp(name.slice(1)).test(text);
    return text === name;
  };
  // The exact name first, then one that begins with it ("First name (required)").
  const pick = (candidates) => {
    let found = candidates.filter((el) => fits(label(el)));
    if (found.length === 0) found = candidates.filter((el) => label(el).startsWith(name));
    return found[nth];
  };
  const kinds = {
    control: () => pick(all("button, a[href], [role=button], [role=tab], [role=option], [role=menuitem], summary")),
    field: () => pick(all("input:not([type=checkbox],[type=radio]), select, textarea, trix-editor, [contenteditable=true], [role=combobox]")),
    box: () => pick(all("input[type=checkbox], input[type=radio]")),
    css: () => all(name)[nth],
  };
  return kinds[kind]();
}
