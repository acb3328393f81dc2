/** A line of a conversation as elements. What others wrote is only ever text. */

import { h, s } from "../dom.js";
import { bytes, clock } from "../words.js";
import { type Attachment, shown } from "./documents.js";
import type { Shown } from "./files.js";
import type { Line, State } from "./model.js";

/** What somebody may do with a line. */
export interface Actions {
  menu(line: Line, at: HTMLElement): void;
  jump(line: Line): void;
  react(line: Line, emoji: string): void;
  again(line: Line): void;
  fetch(attachment: Attachment, wanted: boolean): void;
  save(attachment: Attachment): void;
  view(attachment: Attachment): void;
  /** Takes an invitation, or turns it down. */
  answer(line: Line, take: boolean): void;
}

/** What is to be drawn of a line, beside the line. */
export interface Setting {
  /** What the other one is called. */
  readonly name: string;
  /** In a group: whose face is shown, and what others there are called. */
  readonly group?: { readonly face: HTMLElement; nameOf(identity: string): string } | undefined;
  /** Who wrote what is answered. */
  readonly answers: string;
  readonly answered: Line | undefined;
  /** The one before is of the same author, and of about the same time. */
  readonly follows: boolean;
  /** The last of one's own: how far it is stands there in words. */
  readonly isLast: boolean;
  readonly files: readonly (Shown & { readonly picture: Picture | undefined })[];
  /** How far it is, of one's own, with its files. */
  readonly state: State | undefined;
}

/** A picture that may be shown in line. */
export interface Picture {
  readonly url: string;
  readonly width: number;
  readonly height: number;
}

/** Pixels of the longer side of a picture in line, at most. */
const SHOWN = 340;

/** How far something is, in words. */
export const WORDS: Record<State, string> = {
  sending: "Sending",
  stored: "Stored for them",
  delivered: "Delivered",
  read: "Read",
  published: "Said in the group",
  failed: "Not sent",
};

/** Why something was not sent, and what to do. */
const REASONS: { readonly [code: string]: string } = {
  "mailbox-full": "Their mailbox is full. Try again when they have been there.",
  "sender-full": "As much as is allowed waits for them already. Try again when they have been there.",
  expired: "They were not there for a week.",
  "too-large": "It is too large to wait for them.",
};

export const icon = (name: string): SVGElement => {
  const svg = s("svg", { "aria-hidden": "true" });
  svg.append(s("use", { href: `#${name}` }));
  return svg;
};

/** The state of a line of one's own, not by colour or shape alone. */
function stateWords({ waits }: Line, state: State): string {
  return state === "sending" && waits ? "Waiting to be sent" : WORDS[state];
}

/** A line as an element; all that it shows is in `line` and `setting`. */
export function bubble(line: Line, setting: Setting, actions: Actions): HTMLElement {
  const { own, deleted } = line;
  const { state = "sending" } = setting;
  const who = own ? "You" : setting.name;
  const item = h("li", {
    class: ["line", own ? "own" : "theirs", setting.follows ? "follows" : "", setting.group ? "of-group" : ""]
      .filter(Boolean)
      .join(" "),
    "data-testid": "line",
    "data-id": line.id,
    "data-own": String(own),
    "data-state": own ? state : "received",
    tabindex: -1,
  });
  const box = h("div", { class: "bubble" });
  // In a group it stands there for everybody who wrote it.
  if (setting.group && !own && !setting.follows)
    box.append(h("p", { class: "author", "data-testid": "author" }, setting.name));
  else box.append(h("span", { class: "visually-hidden" }, `${who}: `));
  if (setting.answered !== undefined || line.reply !== undefined) box.append(quote(setting, actions));
  if (deleted) box.append(h("p", { class: "erased" }, own ? "You took this back" : "This was taken back"));
  else if (line.invitation !== undefined) box.append(invitation(line, actions));
  for (const [at, attachment] of line.attachments.entries()) {
    const file = setting.files[at];
    if (file) box.append(attached(line, attachment, file, actions));
  }
  if (line.text !== "" && line.invitation === undefined)
    box.append(
      h("p", { class: isBig(line) ? "text big" : "text", "data-testid": "line-text" }, shown(line.text)),
    );
  box.append(meta(line, state));
  const more = h(
    "button",
    {
      type: "button",
      class: "icon-button line-more",
      "data-testid": "line-menu",
      "aria-haspopup": "menu",
      "aria-label": `What to do with: ${shown(line.text).slice(0, 40) || "this message"}`,
    },
    icon("i-more"),
  );
  more.addEventListener("click", () => actions.menu(line, more));
  const face = setting.group && !own ? setting.group.face : undefined;
  item.append(h("div", { class: "beside" }, face, box, deleted ? undefined : more));
  const reactions = reacted(line, setting, actions);
  if (reactions) item.append(reactions);
  if (own && setting.isLast && state !== "failed")
    item.append(h("p", { class: "how-far", "aria-hidden": "true" }, stateWords(line, state)));
  if (state === "failed") item.append(failure(line, actions));
  return item;
}

/** An invitation into a group, to be taken or not. */
function invitation(line: Line, actions: Actions): HTMLElement {
  const name = shown(line.text);
  const box = h(
    "div",
    { class: "invite", "data-testid": "invite" },
    icon("i-group"),
    h(
      "span",
      { class: "invite-words" },
      h("b", {}, name),
      h("span", {}, line.own ? "You invited them to this group." : INVITED[String(line.taken)]),
    ),
  );
  if (line.own || line.taken !== undefined) return box;
  const button = (label: string, take: boolean) => {
    const made = h(
      "button",
      {
        type: "button",
        class: take ? "primary" : "",
        "data-testid": take ? "invite-join" : "invite-refuse",
        "aria-label": `${label}: ${name}`,
      },
      label,
    );
    made.addEventListener("click", () => actions.answer(line, take));
    return made;
  };
  return h(
    "div",
    {},
    box,
    h("p", { class: "row buttons" }, button("Join", true), button("Turn down", false)),
  );
}

const INVITED: { readonly [taken: string]: string } = {
  undefined: "You are invited to this group. Who is in it sees your key and your name.",
  true: "You have joined.",
  false: "You have turned it down. Nobody is told.",
};

function meta(line: Line, state: State): HTMLElement {
  const { own, deleted, edited, time } = line;
  const stamp = h(
    "time",
    { datetime: new Date(time).toISOString(), title: new Date(time).toLocaleString() },
    clock(time),
  );
  const row = h("span", { class: "meta" }, edited && !deleted ? "edited " : undefined, stamp);
  if (!own) return row;
  const mark = icon(`m-${state}`);
  mark.setAttribute("class", "mark-state");
  row.append(
    mark,
    h("span", { class: "visually-hidden", "data-testid": "line-state" }, stateWords(line, state)),
  );
  row.title = stateWords(line, state);
  return row;
}

function quote({ answered, answers }: Setting, actions: Actions): HTMLElement {
  if (answered === undefined) return h("p", { class: "quote" }, "An earlier message");
  const text = answered.deleted
    ? "Taken back"
    : shown(answered.text).slice(0, 160) || answered.attachments[0]?.name || "";
  const button = h(
    "button",
    { type: "button", class: "quote", "data-testid": "quote" },
    h("b", {}, answers),
    h("span", {}, text),
  );
  button.addEventListener("click", () => actions.jump(answered));
  return button;
}

function reacted(line: Line, { name, group }: Setting, actions: Actions): HTMLElement | undefined {
  const { own, theirs, others = {} } = line.reactions;
  const all = Object.entries(others).map(([who, each]) => ({ ...each, who: group?.nameOf(who) ?? name }));
  const there = [own && { ...own, who: "You" }, theirs && { ...theirs, who: name }, ...all].filter(
    (each) => each?.emoji,
  );
  if (there.length === 0) return undefined;
  const row = h("p", { class: "reactions", "data-testid": "reactions" });
  const emojis = new Set(there.map((each) => each?.emoji ?? ""));
  for (const emoji of emojis) {
    const by = there.filter((each) => each?.emoji === emoji);
    const button = h(
      "button",
      {
        type: "button",
        class: own?.emoji === emoji ? "reaction mine" : "reaction",
        "aria-label": `${shown(emoji)} by ${by.map((each) => each?.who).join(" and ")}`,
        "aria-pressed": String(own?.emoji === emoji),
      },
      shown(emoji),
      by.length > 1 ? h("span", {}, String(by.length)) : undefined,
    );
    button.addEventListener("click", () => actions.react(line, emoji));
    row.append(button);
  }
  return row;
}

function failure(line: Line, actions: Actions): HTMLElement {
  const why = REASONS[line.code ?? ""] ?? "It could not be sent.";
  const again = h("button", { type: "button", "data-testid": "line-again" }, "Try again");
  again.addEventListener("click", () => actions.again(line));
  const code = line.code === undefined ? undefined : h("code", {}, line.code);
  return h("p", { class: "failure" }, h("span", {}, `${why} `, code), again);
}

function attached(
  line: Line,
  attachment: Attachment,
  file: Setting["files"][number],
  actions: Actions,
): HTMLElement {
  const { picture, state } = file;
  const name = shown(attachment.name);
  if (picture !== undefined) {
    const image = h("img", { src: picture.url, alt: name, width: picture.width, height: picture.height });
    const scale = Math.min(1, SHOWN / picture.width, SHOWN / picture.height);
    image.style.width = `${Math.round(scale * picture.width)}px`;
    image.style.aspectRatio = `${picture.width} / ${picture.height}`;
    const button = h(
      "button",
      { type: "button", class: "picture", "data-testid": "picture", "aria-label": `Show ${name}` },
      image,
    );
    button.addEventListener("click", () => actions.view(attachment));
    return button;
  }
  const box = h(
    "div",
    {
      class: "file",
      "data-testid": "file",
      "data-file": file.wanted && state === "parts" ? "fetching" : state,
    },
    icon("i-file"),
    h(
      "span",
      { class: "file-words" },
      h("span", { class: "file-name" }, name),
      h("span", { class: "file-size" }, size(file)),
    ),
  );
  const button = (label: string, testid: string, run: () => void) => {
    const made = h(
      "button",
      { type: "button", "data-testid": testid, "aria-label": `${label} ${name}` },
      label,
    );
    made.addEventListener("click", run);
    box.append(made);
  };
  if (state === "whole") button("Save", "file-save", () => actions.save(attachment));
  else if (!line.own && file.wanted) button("Stop", "file-stop", () => actions.fetch(attachment, false));
  else if (!line.own && state !== "none")
    button(state === "parts" ? (file.here > 0 ? "Go on" : "Get") : "Try again", "file-get", () =>
      actions.fetch(attachment, true),
    );
  if (file.wanted && state === "parts")
    box.append(
      h("progress", { max: file.size, value: file.here, "aria-label": `${name}: how much is here` }),
    );
  return box;
}

function size({ state, size, here, wanted }: Shown): string {
  if (state === "damaged") return "Damaged on the way";
  if (state === "gone") return "Not to be had any more";
  if (state === "parts" && (wanted || here > 0)) return `${bytes(here)} of ${bytes(size)}`;
  return bytes(size);
}

/** One to three emoji and nothing else. */
const isBig = ({ text, attachments }: Line): boolean =>
  attachments.length === 0 &&
  text.length <= 24 &&
  /^(\p{Extended_Pictographic}(\p{M}|\u200d|\ufe0f|\p{Emoji_Modifier})*\s*){1,3}$/u.test(text);
