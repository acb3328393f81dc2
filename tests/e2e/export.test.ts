/** An identity that goes elsewhere, in a file under a passphrase. */
import assert from "node:assert/strict";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { directory, run, Signaler } from "../federation/signaler.ts";
import { PROGRAM, Weft } from "../federation/weft.ts";

test("p4_an_identity_goes_elsewhere_in_a_file_under_a_passphrase_and_is_a_member_there", async (t) => {
  const signaler = await Signaler.start(t);
  const [here, there, files] = [directory(t), directory(t), directory(t)];
  const weft = async (...args: string[]) => {
    const { code, out, err } = await run(PROGRAM, args);
    return { code, err, json: out === "" ? undefined : (JSON.parse(out) as Record<string, unknown>) };
  };
  assert.equal((await weft("id", "--json", "--name", "Ada", "--data", here)).code, 0);
  const made = await weft("party", "create", "--data", here);
  const party = made.json?.["party"] as string;
  const secret = (text: string) => {
    const path = join(files, "secret");
    writeFileSync(path, `${text}\n`);
    return ["--passphrase-file", path];
  };
  const file = join(files, "ada.weft");

  const short = await weft("export", "--data", here, ...secret("1234567"), file);
  assert.equal(short.code, 1);
  assert.match(short.err, /at least 8/);
  const exported = await weft("export", "--data", here, ...secret("correct horse"), file);
  assert.equal(exported.code, 0, exported.err);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const bytes = readFileSync(file);
  const seed = readFileSync(join(here, "identity.seed"), "utf8").trim();
  assert.ok(!bytes.includes(Buffer.from(seed, "hex")) && !bytes.includes(seed) && !bytes.includes("Ada"));
  const again = await weft("export", "--data", here, ...secret("correct horse"), file);
  assert.equal(again.code, 1, "what is there is not overwritten");
  assert.match(again.err, /is there already/);
  assert.deepEqual(readFileSync(file), bytes);

  const wrong = await weft("import", "--data", there, ...secret("correct house"), file);
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /passphrase is wrong/);
  writeFileSync(join(files, "no.weft"), "no export");
  const none = await weft("import", "--data", there, ...secret("correct horse"), join(files, "no.weft"));
  assert.equal(none.code, 1);
  assert.match(none.err, /no export/);
  const imported = await weft("import", "--data", there, ...secret("correct horse"), file);
  assert.equal(imported.code, 0, imported.err);
  assert.deepEqual(
    [imported.json?.["identity"], imported.json?.["name"]],
    [exported.json?.["identity"], "Ada"],
  );

  // Both at once: two peers of one identity, in its party.
  const options = (data: string) => ({ signalers: [signaler.url], party, data });
  const reader = Weft.start(t, "subscribe", ["--backlog"], options(there));
  const line = join(files, "document.jsonl");
  writeFileSync(line, '{"text":"from home"}\n');
  const published = await Weft.run(t, "publish", ["--timeout", "15", line], options(here));
  assert.equal(published.code, 0, published.err);
  await reader.count(1);
  assert.deepEqual(
    reader.lines.map(({ json }) => json.data.text),
    ["from home"],
  );
  assert.notEqual(await Weft.peer(here), await Weft.peer(there));

  // Somebody else's directory is left as it is.
  const other = directory(t);
  const identity = await Weft.identity(other);
  const refused = await weft("import", "--data", other, ...secret("correct horse"), file);
  assert.equal(refused.code, 2);
  assert.match(refused.err, /another identity/);
  assert.equal(await Weft.identity(other), identity);
});
