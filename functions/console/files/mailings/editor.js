// The message's editor: Trix, with a toolbar of its own that the keyboard can
// use, with what a mail can carry and nothing else.
import {html, useEffect, useId, useRef, useState} from "../kit/view.js";
import {say} from "../kit/say.js";
import {Failed, Loading} from "../kit/states.js";
import {FieldMenu} from "./fieldmenu.js";
import {attachment, chipType, toChips, toCodes} from "./fields.js";
import {LinkWindow} from "./link.js";
import {Toolbar, icons} from "./toolbar.js";
import {words} from "./words.js";

let loaded;

// load brings Trix and its style sheet, once, when the first message is opened.
// The sheet goes before ours, which change some of it.
function load() {
  loaded ??= (async () => {
    const sheet = document.createElement("link");
    sheet.rel = "stylesheet";
    sheet.href = new URL("../vendor/trix/trix.css", import.meta.url).href;
    const styled = new Promise((done, failed) => Object.assign(sheet, {onload: done, onerror: () => failed(new Error(words.noEditor))}));
    document.head.prepend(sheet);
    try {
      const [{default: trix}] = await Promise.all([import("trix").catch(() => { throw new Error(words.noEditor); }), styled]);
      // Paragraphs are paragraphs, as in the mail; Trix's own are one block with line breaks.
      // It asks no such block what Enter does, so it is told (and Shift and Enter break the line).
      Object.assign(trix.config.blockAttributes.default, {tagName: "p", breakOnReturn: true});
      trix.Block.prototype.breaksOnReturn = function breaksOnReturn() {
        return Boolean(trix.config.blockAttributes[this.getLastAttribute() ?? "default"]?.breakOnReturn);
      };
      const {shouldInsertBlockBreak} = trix.LineBreakInsertion.prototype;
      trix.LineBreakInsertion.prototype.shouldInsertBlockBreak = function insertsBlockBreak() {
        return shouldInsertBlockBreak.call(this) || (!this.block.hasAttributes() && this.breaksOnReturn);
      };
      // The page's own heading is the first; a message begins at the second.
      trix.config.blockAttributes.heading2 = {tagName: "h2", terminal: true, breakOnReturn: true, group: false};
      // What mails may hold, but the toolbar does not offer, is kept.
      trix.config.textAttributes.underline = {tagName: "u", inheritable: true};
      trix.config.lang.remove = words.removeChip;
      await customElements.whenDefined("trix-editor");
      return trix;
    } catch (problem) {
      sheet.remove();
      loaded = undefined;
      throw problem;
    }
  })();
  return loaded;
}

// settle shows what was typed last. Trix does so in the next frame, and takes a
// key that comes before that for one at another place.
function settle(element) {
  const {inputController} = element.editorController;
  if (inputController.scheduledRender) inputController.render();
}

// Editor shows value, stored HTML, and gives what becomes of it to onChange. It
// loads value anew when given changes, for then it came from elsewhere. onTyping
// gets what hands over at once what was typed this moment, while there is an editor.
export function Editor({label, value, given, fields, onChange, onTyping, errors = []}) {
  const id = useId();
  const place = useRef();
  const trix = useRef();
  const element = useRef();
  const range = useRef(); // where the cursor was when it was last here
  const shown = useRef({}); // {stored, as}: what was loaded, and how the editor writes that
  const emit = useRef();
  emit.current = onChange;
  const [state, setState] = useState({loading: true, attributes: {}, actions: {}});
  const [linking, setLinking] = useState();
  const [round, setRound] = useState(0);

  useEffect(() => {
    let gone = false;
    setState((before) => ({...before, loading: true, problem: undefined}));
    load().then((module) => {
      if (gone) return;
      trix.current = module;
      const made = document.createElement("trix-editor");
      made.willCreateInput = false;
      for (const [name, of] of Object.entries({
        toolbar: `${id}-bar`, class: "trix-content", "aria-label": label, "aria-multiline": "true", "aria-describedby": `${id}-hint`, lang: "en",
      })) made.setAttribute(name, of);
      made.addEventListener("trix-initialize", () => {
        if (gone) return;
        element.current = made;
        show(true);
        onTyping(() => settle(made));
        setState((before) => ({...before, loading: false}));
      });
      made.addEventListener("trix-change", changed);
      made.addEventListener("trix-selection-change", () => { if (document.activeElement === made) range.current = made.editor.getSelectedRange(); });
      made.addEventListener("trix-attributes-change", ({attributes}) => setState((before) => ({...before, attributes: {...attributes}})));
      made.addEventListener("trix-actions-change", ({actions}) => setState((before) => ({...before, actions: {...actions}})));
      made.addEventListener("trix-file-accept", (event) => { event.preventDefault(); say(words.noFiles); });
      made.addEventListener("trix-attachment-add", ({attachment: of}) => { if (of.getContentType() !== chipType) of.remove(); });
      made.addEventListener("keydown", () => settle(made), true);
      made.addEventListener("keydown", (event) => {
        if (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey) {
          event.preventDefault();
          link();
        }
      });
      place.current.append(made);
    }, (problem) => { if (!gone) setState((before) => ({...before, loading: false, problem})); });
    return () => {
      gone = true;
      onTyping(undefined);
      if (element.current) settle(element.current);
      element.current?.remove();
      element.current = undefined;
    };
  }, [round]);

  // Text from elsewhere is cleaned before Trix reads it, for Trix would look at
  // its styles, which the page's policy forbids.
  useEffect(() => {
    const paste = (event) => {
      const text = event.clipboardData?.getData("text/html");
      if (!text || !element.current) return;
      event.preventDefault();
      event.stopPropagation();
      element.current.editor.recordUndoEntry("Paste");
      element.current.editor.insertHTML(toChips(text, fields));
    };
    place.current.addEventListener("paste", paste, true);
    return () => place.current?.removeEventListener("paste", paste, true);
  }, [fields]);

  const known = useRef(given);
  useEffect(() => {
    if (known.current === given || !element.current) return;
    known.current = given;
    show(false);
  }, [given]);

  function show(first) {
    const {editor} = element.current;
    const chips = toChips(value, fields);
    shown.current = {};
    if (first) editor.loadHTML(chips);
    else { // so that it can be undone
      editor.recordUndoEntry("Load");
      editor.composition.loadSnapshot({document: trix.current.HTMLParser.parse(chips).getDocument(), selectedRange: [0, 0]});
    }
    range.current = undefined;
    shown.current = {stored: value, as: toCodes(element.current.value)};
  }

  function changed() {
    if (!element.current || shown.current.as === undefined) return; // while it loads
    const now = toCodes(element.current.value);
    emit.current(now === shown.current.as ? shown.current.stored : now);
  }

  // back puts the keyboard into the text, where it was, or at the end.
  function back() {
    const {editor} = element.current;
    settle(element.current);
    const end = editor.getDocument().getLength() - 1;
    const wanted = range.current ?? [end, end];
    element.current.focus(); // may move the cursor to the beginning
    editor.setSelectedRange(wanted);
    return editor;
  }

  const insert = (field) => {
    const editor = back();
    editor.recordUndoEntry("Special Field");
    editor.insertAttachment(new trix.current.Attachment(attachment(field)));
  };
  const toggle = (name) => () => {
    const editor = back();
    editor.recordUndoEntry("Formatting");
    if (editor.attributeIsActive(name)) editor.deactivateAttribute(name);
    else if (editor.canActivateAttribute(name)) editor.activateAttribute(name);
  };
  function link() {
    const editor = back();
    editor.composition.expandSelectionForEditing();
    range.current = editor.getSelectedRange();
    const [from, to] = range.current;
    setLinking({href: editor.composition.currentAttributes.href ?? "", empty: from === to});
  }
  const linked = (done) => {
    setLinking(undefined);
    // The window gives the keyboard back first.
    setTimeout(() => {
      const editor = back();
      if (!done) return;
      editor.recordUndoEntry("Link");
      if (done.href === "") { editor.deactivateAttribute("href"); return; }
      if (done.text) {
        const [from] = editor.getSelectedRange();
        editor.insertString(done.text);
        editor.setSelectedRange([from, from + done.text.length]);
      }
      editor.activateAttribute("href", done.href);
      const [, to] = editor.getSelectedRange();
      editor.setSelectedRange([to, to]);
    });
  };

  const {attributes, actions} = state;
  const tools = [
    ["bold", words.tool.bold, html`<b>B</b>`, toggle("bold")],
    ["italic", words.tool.italic, html`<i>I</i>`, toggle("italic")],
    ["strike", words.tool.strike, html`<s>S</s>`, toggle("strike")],
    ["href", words.tool.link, icons.link, link],
    ["heading2", words.tool.heading, html`<b>H</b>`, toggle("heading2")],
    ["quote", words.tool.quote, icons.quote, toggle("quote")],
    ["bullet", words.tool.bullets, icons.bullets, toggle("bullet")],
    ["number", words.tool.numbers, icons.numbers, toggle("number")],
    ["undo", words.tool.undo, icons.undo, () => { if (actions.undo) back().undo(); }],
    ["redo", words.tool.redo, icons.redo, () => { if (actions.redo) back().redo(); }],
  ];
  const ready = !state.loading && !state.problem;
  return html`
    <div class="editor ${errors.length > 0 ? "refused" : ""}">
      <div class="editor-bar">
        <${FieldMenu} fields=${fields} onPick=${insert} disabled=${!ready} />
        <${Toolbar} id="${id}-bar" disabled=${!ready} tools=${tools.map(([name, title, sign, run]) => ({
          name, title, sign, run, pressed: name === "undo" || name === "redo" ? undefined : Boolean(attributes[name]), off: (name === "undo" || name === "redo") && !actions[name],
        }))} />
      </div>
      <div class="editor-text" ref=${place}></div>
      ${state.loading && html`<${Loading} what=${words.loadingEditor} />`}
      ${state.problem && html`<${Failed} problem=${state.problem} retry=${() => setRound(round + 1)} />`}
      <p class="hint" id="${id}-hint">${words.editorHint}</p>
      ${errors.length > 0 && html`<p class="error">${errors.join(" ")}</p>`}
      ${linking && html`<${LinkWindow} of=${linking} onClose=${linked} />`}
    </div>`;
}
