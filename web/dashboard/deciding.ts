/** The dialog in which a sovereign sees what is signed, and signs it. */

import { $, h, say, show } from "../demo/dom.js";
import { get, type Info, type Node, type NodeWithRegistration, post, Refused } from "./api.js";
import type { Key } from "./key.js";
import { decide, openRegistration, type Registration, type Verb } from "./statement.js";

const TITLES: Record<Verb, string> = { approve: "Approve", deny: "Deny", reset: "Reset", revoke: "Revoke" };
const WORDS: Record<Verb, string> = {
  approve: "It becomes part of the federation. Compare the key with what its operator told you.",
  deny: "It stays out until a sovereign resets it.",
  reset: "It waits for a decision again, and may register anew.",
  revoke: "It leaves the federation at once, everywhere. A reset lets it ask again.",
};

export class Deciding {
  private readonly dialog = $<HTMLDialogElement>("deciding");
  private readonly sign = $<HTMLButtonElement>("deciding-sign");
  private readonly problem = $("deciding-problem");
  /** What is looked at; another one when the dialog is opened again. */
  private run: (() => Promise<void>) | undefined;

  constructor(
    private readonly key: () => Key | undefined,
    private readonly done: (id: string, status: string) => void,
  ) {
    $("deciding-cancel").addEventListener("click", () => this.dialog.close());
    $("deciding-form").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.run?.();
    });
  }

  /** Asks the signaler for what there is to sign, checks it, and shows it. */
  async open(verb: Verb, { id }: Node): Promise<void> {
    say($("deciding-title"), `${TITLES[verb]} ${id}?`);
    say($("deciding-words"), WORDS[verb]);
    say(this.sign, `Sign: ${verb}`);
    $("deciding-facts").replaceChildren(h("dd", { class: "quiet" }, "Asking the signaler…"));
    show(this.problem, false);
    this.run = undefined;
    this.busy(true);
    this.dialog.showModal();
    try {
      const [info, node] = await Promise.all([
        get<Info>("info"),
        get<NodeWithRegistration>(`nodes/${encodeURIComponent(id)}`),
      ]);
      const registration = await checked(verb, node);
      $("deciding-facts").replaceChildren(...facts(registration, info));
      this.run = () => this.say(verb, info, node, registration);
      this.busy(false);
      this.sign.focus();
    } catch (error) {
      this.complain(error);
    }
  }

  private async say(verb: Verb, info: Info, node: Node, registration: Registration): Promise<void> {
    const key = this.key();
    if (key === undefined) return this.complain(new Error("There is no key in this browser any more."));
    this.busy(true);
    show(this.problem, false);
    try {
      const matter = {
        network: info.registry.network,
        signaler: info.id,
        id: registration.id,
        key: registration.key,
        head: node.head,
        // After whatever made us a sovereign.
        time: Math.max(Date.now(), info.registry.sovereigns_changed_at + 1),
      };
      const path = `${verb}/${encodeURIComponent(registration.id)}`;
      const { status } = await post<{ status: string }>(path, await decide(verb, matter, key));
      this.dialog.close();
      this.done(registration.id, status);
    } catch (error) {
      this.complain(error);
      // It counts: there is nothing more to sign.
      this.busy(error instanceof Refused && error.code === "not-stored");
    }
  }

  private busy(busy: boolean): void {
    this.sign.disabled = busy;
  }

  private complain(error: unknown): void {
    const code = error instanceof Refused ? error.code : undefined;
    const words = error instanceof Error ? error.message : String(error);
    this.problem.replaceChildren(words, ...(code === undefined ? [] : [" ", h("code", {}, code)]));
    show(this.problem, true);
  }
}

/** As `weft approve` checks it: what is shown is what the registrant signed, and what is asked for is about that. */
async function checked(verb: Verb, node: NodeWithRegistration): Promise<Registration> {
  const { body, signature } = node.registration;
  const registration = await openRegistration(node.id, body, signature).catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `What the signaler shows was not signed by the one it names (${why}). Nothing is signed.`,
    );
  });
  if (verb === "approve" && node.decided_at === null && node.head !== registration.digest)
    throw new Error("The signaler asks for an approval of something else than it shows. Nothing is signed.");
  return registration;
}

function facts({ id, key, host, address, services }: Registration, info: Info): HTMLElement[] {
  const rows: [string, string, string?][] = [
    ["Name", id],
    ["Key", key, "code"],
    ["Host", address === undefined ? host : `${host}, ${address}`],
    ...services.map((one): [string, string, string?] => [
      "Service",
      `${one.type} on port ${one.port}${one.key === key ? "" : `, key ${one.key}`}`,
    ]),
    ["Network", info.registry.network],
  ];
  return rows.flatMap(([name, value, kind]) => [h("dt", {}, name), h("dd", { class: kind }, value)]);
}
