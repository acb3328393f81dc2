/** `weft chat --json` as a process, and people who use it. */
import type { TestContext } from "node:test";
import { directory, type Signaler } from "./signaler.ts";
import { type Line, Weft } from "./weft.ts";

type Json = Line["json"];

/** Somebody who chats; each start is the same person. */
export class Person {
  chat: Weft;
  #tag = 0;

  private constructor(
    readonly t: TestContext,
    readonly name: string,
    readonly data: string,
    readonly identity: string,
    readonly signalers: readonly string[],
  ) {
    this.chat = this.#start();
  }

  static async start(t: TestContext, name: string, signaler: Signaler): Promise<Person> {
    const data = directory(t);
    const identity = await Weft.identity(data);
    const person = new Person(t, name, data, identity, [signaler.url]);
    await person.online();
    await person.does({ do: "profile", name });
    return person;
  }

  #start(): Weft {
    return Weft.start(this.t, "chat", ["--json", "--stay"], { signalers: this.signalers, data: this.data });
  }

  async online(): Promise<void> {
    const is = (line: Json) =>
      line.event === "signalers" && line.signalers.some((one: { connected: boolean }) => one.connected);
    await this.chat.line("a signaler", is);
  }

  /** Starts again; what was said before is not in its lines. */
  async again(): Promise<void> {
    this.chat = this.#start();
    await this.online();
  }

  /** Does something and gives the answer, which may be a refusal. */
  async tries(command: object): Promise<Json> {
    this.#tag += 1;
    const tag = `${this.name}-${this.#tag}`;
    this.chat.write({ ...command, tag });
    return (await this.chat.line(`an answer to ${JSON.stringify(command)}`, (line) => line.tag === tag)).json;
  }

  async does(command: object): Promise<Json> {
    const answer = await this.tries(command);
    if (answer.event !== "done") throw new Error(`${JSON.stringify(command)}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Writes a text; gives its id. */
  async says(to: Person, text: string, more: object = {}): Promise<string> {
    return (await this.does({ do: "say", to: to.identity, text, ...more })).id as string;
  }

  async hears(text: string, within?: number): Promise<Json> {
    const is = (line: Json) => line.event === "text" && line.text === text;
    return (await this.chat.line(`text ${text}`, is, within)).json;
  }

  async state(id: string, state: string, within?: number): Promise<Line> {
    const is = (line: Json) => line.event === "state" && line.id === id && line.state === state;
    return await this.chat.line(`state ${state}`, is, within);
  }

  async history(other: Person): Promise<Json[]> {
    return (await this.does({ do: "history", with: other.identity })).items;
  }

  /** Makes a group; gives its key. */
  async founds(name: string): Promise<string> {
    return (await this.does({ do: "group", name })).with as string;
  }

  /** Invites a contact, who takes it and is let in. */
  async invites(group: string, other: Person, more: object = {}): Promise<void> {
    const { id } = await this.does({ do: "invite", to: group, who: other.identity, ...more });
    const invitation = (line: Json) => line.event === "text" && line.id === id;
    await other.chat.line("an invitation", invitation, 40_000);
    await other.does({ do: "join", with: this.identity, of: id });
    await other.isIn(group);
  }

  /** Is a member of a group. */
  async isIn(group: string): Promise<void> {
    const is = (line: Json) => line.event === "group" && line.with === group && line.standing === "member";
    await this.chat.line("membership", is, 40_000);
  }

  /** Writes into a group; gives the text's id. */
  async tells(group: string, text: string, more: object = {}): Promise<string> {
    return (await this.does({ do: "say", to: group, text, ...more })).id as string;
  }

  /** Texts of a group, in order. */
  async texts(group: string): Promise<string[]> {
    const { items } = await this.does({ do: "history", with: group });
    return items.map((item: Json) => item.text as string);
  }

  async meets(other: Person): Promise<void> {
    const is = (line: Json) => line.event === "presence" && line.with === other.identity && line.on;
    await this.chat.line(`presence of ${other.name}`, is, 40_000);
  }

  async stops(): Promise<void> {
    this.chat.process.kill("SIGTERM");
    await this.chat.ended();
  }
}

/** One asks, the other one agrees. */
export async function acquainted(one: Person, other: Person): Promise<void> {
  await one.does({ do: "add", address: other.identity, note: "it is me" });
  const asks = (line: Json) => line.event === "request" && line.from === one.identity && line.asks;
  await other.chat.line("a request", asks, 40_000);
  await other.does({ do: "accept", who: one.identity });
  const agrees = (line: Json) => line.event === "contact" && line.with === other.identity && line.contact;
  await one.chat.line("a yes", agrees, 40_000);
}
